import { expect, test } from 'vitest'
import { murmur2, partitionOf } from './partitioner.ts'

/** From Kafka's UtilsTest, and one each of librdkafka and of every length modulo four. */
const vectors: readonly (readonly [string, number])[] = [
  ['', 275646681],
  ['21', -973932308],
  ['foobar', -790332482],
  ['a-little-bit-long-string', -985981536],
  ['a-little-bit-longer-string', -1486304829],
  ['lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8', -58897971],
  ['abc', 479470107],
  ['kafka', -798503068],
  ['string-f-24-chars-length', 124730809],
  ['string-fo-25-chars-length', 1269511650],
  ['string-foo-26-chars-length', 119165628],
  ['string-last-27-chars-length', 1089971754],
]

test.each(vectors)('the hash of "%s" is the one that Kafka has', (text, hash) => {
  expect(murmur2(Buffer.from(text))).toBe(hash)
})

test('the partition drops the sign and is taken of the UTF-8 bytes, wherever they lie', () => {
  expect(partitionOf('foobar', 50)).toBe((-790332482 & 0x7fffffff) % 50)
  expect(partitionOf('599999', 12)).toBe(3)
  expect(partitionOf('1039-36302-36840-2-9f138052', 12)).toBe(4)
  const bytes = Buffer.from('xxfoobaryy')
  expect(murmur2(bytes.subarray(2, 8))).toBe(-790332482)
  expect(partitionOf('Größe', 7)).toBe((murmur2(new TextEncoder().encode('Größe')) & 0x7fffffff) % 7)
})
