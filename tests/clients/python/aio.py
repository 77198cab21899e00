import asyncio

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, ConsumerRebalanceListener, TopicPartition
from aiokafka.errors import CommitFailedError, KafkaError

import member


def produce(*args):
    asyncio.run(produce_async(*args))


async def produce_async(bootstrap, topic, codec, records):
    producer = AIOKafkaProducer(
        bootstrap_servers=bootstrap,
        compression_type=None if codec == "none" else codec,
        enable_idempotence=True,
        linger_ms=20,
    )
    async with producer:
        sent = [await producer.send(topic, value.encode(), key.encode()) for key, value in records]
        await asyncio.gather(*sent)


class Listener(ConsumerRebalanceListener):
    async def on_partitions_revoked(self, revoked):
        pass

    async def on_partitions_assigned(self, assigned):
        member.say("assigned", *(p.partition for p in assigned))


def consume(*args):
    asyncio.run(consume_async(*args))


async def consume_async(bootstrap, topic, group):
    consumer = AIOKafkaConsumer(
        bootstrap_servers=bootstrap,
        group_id=group,
        auto_offset_reset="earliest",
        enable_auto_commit=False,
        heartbeat_interval_ms=300,
        session_timeout_ms=10000,
    )
    consumer.subscribe([topic], listener=Listener())
    leave = member.Leave()
    async with consumer:
        while not leave.asked():
            batches = await consumer.getmany(timeout_ms=100)
            for partition, records in batches.items():
                for record in records:
                    member.say("record", partition.partition, record.offset, record.value.decode())
            if batches:
                try:
                    await consumer.commit()
                except CommitFailedError:
                    pass  # a rebalance came between: whoever has the partition now reads these records again
    member.say("left")


def transact(*args):
    asyncio.run(transact_async(*args))


async def transactional(bootstrap, name):
    producer = AIOKafkaProducer(bootstrap_servers=bootstrap, transactional_id=name)
    await producer.start()
    return producer


async def transact_async(bootstrap, topic, group):
    first = await transactional(bootstrap, "aiokafka")
    async with first.transaction():
        await first.send(topic, b"committed-1")
    await first.begin_transaction()
    await first.send_and_wait(topic, b"aborted")
    await first.abort_transaction()
    partition = TopicPartition(topic, 0)
    async with first.transaction():
        await first.send(topic, b"committed-2")
        await first.send_offsets_to_transaction({partition: member.OFFSET}, group)
    second = await transactional(bootstrap, "aiokafka")
    try:
        async with first.transaction():
            await first.send_and_wait(topic, b"fenced")
    except KafkaError:
        member.say("fenced")
    async with second.transaction():
        await second.send(topic, b"committed-3")
    consumer = AIOKafkaConsumer(
        bootstrap_servers=bootstrap,
        group_id=group,
        auto_offset_reset="earliest",
        enable_auto_commit=False,
        isolation_level="read_committed",
    )
    consumer.assign([partition])
    async with consumer:
        member.say("offset", await consumer.committed(partition))
        consumer.seek(partition, 0)
        async for record in consumer:
            value = record.value.decode()
            member.say("read", value)
            if value == "committed-3":
                break
    await second.stop()
    try:
        await first.stop()
    except KafkaError:
        pass  # it was fenced


member.main(["none", "gzip", "snappy", "lz4", "zstd"], produce, consume, transact)
