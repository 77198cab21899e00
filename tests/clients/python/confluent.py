from confluent_kafka import Consumer, KafkaError, KafkaException, Producer

import member


def produce(bootstrap, topic, codec, records):
    failed = []

    def delivered(error, _message):
        if error:
            failed.append(error)

    producer = Producer({
        "bootstrap.servers": bootstrap,
        "compression.type": codec,
        "enable.idempotence": True,
        "linger.ms": 20,
    })
    for key, value in records:
        producer.produce(topic, value, key, on_delivery=delivered)
    assert producer.flush(60) == 0, "not all were acknowledged"
    assert not failed, failed


def consume(bootstrap, topic, group):
    consumer = Consumer({
        "bootstrap.servers": bootstrap,
        "group.id": group,
        "auto.offset.reset": "earliest",
        "enable.auto.commit": False,
        "heartbeat.interval.ms": 300,
        "session.timeout.ms": 10000,
    })

    def assigned(_consumer, partitions):
        member.say("assigned", *(p.partition for p in partitions))

    consumer.subscribe([topic], on_assign=assigned)
    leave = member.Leave()
    while not leave.asked():
        messages = consumer.consume(100, 0.1)
        for message in messages:
            if message.error():
                raise KafkaException(message.error())
            member.say("record", message.partition(), message.offset(), message.value().decode())
        if messages:
            commit(consumer)
    consumer.close()
    member.say("left")


def commit(consumer):
    try:
        consumer.commit(asynchronous=False)
    except KafkaException as e:
        # A rebalance came between: whoever has the partition now reads these records again.
        if e.args[0].code() not in (KafkaError.REBALANCE_IN_PROGRESS, KafkaError.ILLEGAL_GENERATION):
            raise


member.main(["none", "gzip", "snappy", "lz4", "zstd"], produce, consume)
