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

async function main([what, ...args]) {
  if (what === 'codecs') Object.keys(CODECS).forEach((codec) => say(codec))
  else if (what === 'produce') await produce(...args)
  else if (what === 'consume') await consume(...args)
  else throw new Error(`unknown command: ${what}`)
}

main(process.argv.slice(2)).catch((e) => {
  console.error(e)
  process.exit(1)
})
