/** Which partition a key belongs to: Kafka's default, so any Kafka client agrees. */

/** Partition of `key`'s UTF-8 bytes: murmur2 as in org.apache.kafka.common.utils.Utils, sign dropped, modulo the count. */
export function partitionOf(key: string, partitionCount: number): number {
  return (murmur2(Buffer.from(key, 'utf8')) & 0x7fffffff) % partitionCount
}

const mix = 0x5bd1e995
const seed = 0x9747b28c

/** 32-bit MurmurHash2 (Austin Appleby, public domain) with Kafka's seed; a signed integer. */
export function murmur2(bytes: Uint8Array): number {
  const { length } = bytes
  const view = new DataView(bytes.buffer, bytes.byteOffset, length)
  let hash = seed ^ length
  const whole = length - (length % 4)
  for (let at = 0; at < whole; at += 4) {
    let word = Math.imul(view.getInt32(at, true), mix)
    word = Math.imul(word ^ (word >>> 24), mix)
    hash = Math.imul(hash, mix) ^ word
  }
  const rest = length - whole
  if (rest > 0) {
    if (rest === 3) hash ^= view.getUint8(whole + 2) << 16
    if (rest >= 2) hash ^= view.getUint8(whole + 1) << 8
    hash = Math.imul(hash ^ view.getUint8(whole), mix)
  }
  hash = Math.imul(hash ^ (hash >>> 13), mix)
  return hash ^ (hash >>> 15)
}
