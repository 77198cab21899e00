from confluent_kafka import Consumer, KafkaError, KafkaException, Producer, TopicPartition

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


def transactional(bootstrap, name):
    producer = Producer({"bootstrap.servers": bootstrap, "transactional.id": name})
    producer.init_transactions(60)
    return producer


def transact(bootstrap, topic, group):
    consumer = Consumer({
        "bootstrap.servers": bootstrap,
        "group.id": group,
        "auto.offset.reset": "earliest",
        "enable.auto.commit": False,
        "isolation.level": "read_committed",
    })
    first = transactional(bootstrap, "confluent")
    first.begin_transaction()
    first.produce(topic, "committed-1")
    first.commit_transaction(60)
    first.begin_transaction()
    first.produce(topic, "aborted")
    first.flush(60)
    first.abort_transaction(60)
    first.begin_transaction()
    first.produce(topic, "committed-2")
    offsets = [TopicPartition(topic, 0, member.OFFSET)]
    first.send_offsets_to_transaction(offsets, consumer.consumer_group_metadata(), 60)
    first.commit_transaction(60)
    second = transactional(bootstrap, "confluent")
    first.begin_transaction()
    first.produce(topic, "fenced")
    try:
        first.commit_transaction(60)
    except KafkaException as e:
        assert e.args[0].fatal(), e
        member.say("fenced")
    second.begin_transaction()
    second.produce(topic, "committed-3")
    second.commit_transaction(60)
    committed = consumer.committed([TopicPartition(topic, 0)], 60)
    member.say("offset", committed[0].offset)
    consumer.assign([TopicPartition(topic, 0, 0)])
    value = None
    while value != "committed-3":
        message = consumer.poll(60)
        assert message is not None and not message.error(), message
        value = message.value().decode()
        member.say("read", value)
    consumer.close()


member.main(["none", "gzip", "snappy", "lz4", "zstd"], produce, consume, transact)
