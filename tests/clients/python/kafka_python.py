from kafka import ConsumerRebalanceListener, KafkaConsumer, KafkaProducer
from kafka.errors import CommitFailedError, RebalanceInProgressError

import member


def produce(bootstrap, topic, codec, records):
    producer = KafkaProducer(
        bootstrap_servers=bootstrap,
        compression_type=None if codec == "none" else codec,
        enable_idempotence=True,
        linger_ms=20,
    )
    sent = [producer.send(topic, value.encode(), key.encode()) for key, value in records]
    producer.flush(60)
    for future in sent:
        future.get(60)
    producer.close()


class Listener(ConsumerRebalanceListener):
    def on_partitions_revoked(self, revoked):
        pass

    def on_partitions_assigned(self, assigned):
        member.say("assigned", *(p.partition for p in assigned))


def consume(bootstrap, topic, group):
    consumer = KafkaConsumer(
        bootstrap_servers=bootstrap,
        group_id=group,
        auto_offset_reset="earliest",
        enable_auto_commit=False,
        heartbeat_interval_ms=300,
        session_timeout_ms=10000,
    )
    consumer.subscribe([topic], listener=Listener())
    leave = member.Leave()
    while not leave.asked():
        batches = consumer.poll(timeout_ms=100)
        for partition, records in batches.items():
            for record in records:
                member.say("record", partition.partition, record.offset, record.value.decode())
        if batches:
            try:
                consumer.commit()
            except (CommitFailedError, RebalanceInProgressError):
                pass  # a rebalance came between: whoever has the partition now reads these records again
    consumer.close()
    member.say("left")


member.main(["none", "gzip", "snappy", "lz4", "zstd"], produce, consume)
