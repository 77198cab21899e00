import asyncio

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, ConsumerRebalanceListener
from aiokafka.errors import CommitFailedError

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


member.main(["none", "gzip", "snappy", "lz4", "zstd"], produce, consume)
