// What a member of the scenario does, with kafkajs (see ../README.md).
const zlib = require('node:zlib')
const { Kafka, CompressionTypes, CompressionCodecs, logLevel } = require('kafkajs')

// kafkajs has only gzip of its own; others are plugged in. No LZ4 in JavaScript alone writes the independent blocks that
// Kafka asks for; zstd comes with Node 22.
CompressionCodecs[CompressionTypes.Snappy] = require('kafkajs-snappy')
const CODECS = {
  none: CompressionTypes.None,
  gzip: CompressionTypes.GZIP,
  snappy: CompressionTypes.Snappy,
}
if (zlib.zstdCompressSync) {
  CompressionCodecs[CompressionTypes.ZSTD] = () => ({
    compress: async (encoder) => zlib.zstdCompressSync(encoder.buffer),
    decompress: async (buffer) => zlib.zstdDecompressSync(buffer),
  })
  CODECS.zstd = CompressionTypes.ZSTD
}

const say = (...words) => process.stdout.write(words.join(' ') + '\n')
const client = (bootstrap) => new Kafka({ brokers: [bootstrap], logLevel: logLevel.NOTHING })

async function produce(bootstrap, topic, codec, label, count) {
  const producer = client(bootstrap).producer({ idempotent: true, maxInFlightRequests: 1 })
  await producer.connect()
  const messages = Array.from({ length: Number(count) }, (_, i) => ({ key: `${i}`, value: `${label}-${i}` }))
  await producer.send({ topic, compression: CODECS[codec], messages })
  await producer.disconnect()
}

async function consume(bootstrap, topic, groupId) {
  const consumer = client(bootstrap).consumer({
    groupId,
    heartbeatInterval: 300,
    sessionTimeout: 10000,
    maxWaitTimeInMs: 100,
  })
  consumer.on(consumer.events.GROUP_JOIN, ({ payload }) => {
    say('assigned', ...(payload.memberAssignment[topic] ?? []))
  })
  await consumer.connect()
  await consumer.subscribe({ topics: [topic], fromBeginning: true })
  await consumer.run({
    autoCommit: false,
    eachBatch: async ({ batch }) => {
      for (const { offset, value } of batch.messages) say('record', batch.partition, offset, value.toString())
      const offset = (BigInt(batch.lastOffset()) + 1n).toString()
      await consumer.commitOffsets([{ topic, partition: batch.partition, offset }])
    },
  })
  process.stdin.resume()
  await new Promise((resolve) => process.stdin.once('end', resolve))
  await consumer.disconnect()
  say('left')
}

async function transactional(kafka, transactionalId) {
  const producer = kafka.producer({ transactionalId, idempotent: true, maxInFlightRequests: 1, retry: { retries: 3 } })
  await producer.connect()
  return producer
}

async function transact(bootstrap, topic, groupId) {
  const kafka = client(bootstrap)
  const first = await transactional(kafka, 'kafkajs')
  const inTransaction = async (producer, value, offsets) => {
    const transaction = await producer.transaction()
    await transaction.send({ topic, messages: [{ value }] })
    if (offsets) await transaction.sendOffsets(offsets)
    return transaction
  }
  await (await inTransaction(first, 'committed-1')).commit()
  await (await inTransaction(first, 'aborted')).abort()
  const topics = [{ topic, partitions: [{ partition: 0, offset: '42' }] }]
  await (await inTransaction(first, 'committed-2', { consumerGroupId: groupId, topics })).commit()
  const second = await transactional(kafka, 'kafkajs')
  const taken = await inTransaction(second, 'committed-3')
  await (inTransaction(first, 'fenced').then((transaction) => transaction.commit()).catch(() => say('fenced')))
  await taken.commit()
  const admin = kafka.admin()
  await admin.connect()
  const [{ partitions }] = await admin.fetchOffsets({ groupId, topics: [topic] })
  say('offset', partitions.find(({ partition }) => partition === 0).offset)
  await admin.disconnect()
  const consumer = kafka.consumer({ groupId: `${groupId}-reader`, maxWaitTimeInMs: 100 })
  await consumer.connect()
  await consumer.subscribe({ topics: [topic], fromBeginning: true })
  await new Promise((resolve, reject) => {
    const eachMessage = async ({ message }) => {
      say('read', message.value.toString())
      if (message.value.toString() === 'committed-3') resolve()
    }
    consumer.run({ autoCommit: false, eachMessage }).catch(reject)
  })
  await consumer.disconnect()
  await second.disconnect()
  await first.disconnect()
}

async function main([what, ...args]) {
  if (what === 'codecs') Object.keys(CODECS).forEach((codec) => say(codec))
  else if (what === 'produce') await produce(...args)
  else if (what === 'consume') await consume(...args)
  else if (what === 'transact') await transact(...args)
  else throw new Error(`unknown command: ${what}`)
}

main(process.argv.slice(2)).catch((e) => {
  console.error(e)
  process.exit(1)
})
