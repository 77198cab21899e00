from kafka import ConsumerRebalanceListener, KafkaConsumer, KafkaProducer, TopicPartition
from kafka.errors import CommitFailedError, KafkaError, RebalanceInProgressError
from kafka.structs import OffsetAndMetadata

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


def transactional(bootstrap, name):
    producer = KafkaProducer(bootstrap_servers=bootstrap, transactional_id=name)
    producer.init_transactions()
    return producer


def transact(bootstrap, topic, group):
    first = transactional(bootstrap, "kafka-python")
    first.begin_transaction()
    first.send(topic, b"committed-1")
    first.commit_transaction()
    first.begin_transaction()
    first.send(topic, b"aborted").get(60)
    first.abort_transaction()
    first.begin_transaction()
    first.send(topic, b"committed-2")
    offsets = {TopicPartition(topic, 0): OffsetAndMetadata(member.OFFSET, "", -1)}
    first.send_offsets_to_transaction(offsets, group)
    first.commit_transaction()
    second = transactional(bootstrap, "kafka-python")
    try:
        first.begin_transaction()
        first.send(topic, b"fenced").get(60)
        first.commit_transaction()
    except KafkaError:
        member.say("fenced")
    second.begin_transaction()
    second.send(topic, b"committed-3")
    second.commit_transaction()
    consumer = KafkaConsumer(
        bootstrap_servers=bootstrap,
        group_id=group,
        auto_offset_reset="earliest",
        enable_auto_commit=False,
        isolation_level="read_committed",
    )
    partition = TopicPartition(topic, 0)
    consumer.assign([partition])
    member.say("offset", consumer.committed(partition))
    consumer.seek(partition, 0)
    for record in consumer:
        value = record.value.decode()
        member.say("read", value)
        if value == "committed-3":
            break
    consumer.close()


member.main(["none", "gzip", "snappy", "lz4", "zstd"], produce, consume, transact)
