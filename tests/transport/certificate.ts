/** A certificate that signs itself, for servers of tests: X.509 in DER by hand, because Node reads certificates but makes none. */
import { createPrivateKey, generateKeyPairSync, sign } from 'node:crypto'
import { isIPv4 } from 'node:net'

export type TestCertificate = { cert: string; key: string }

const dayMs = 86_400_000

/** EC P-256, for the hosts (names or IPv4 addresses), valid from yesterday for `days`. Also its own authority. */
export function makeCertificate(hosts: readonly string[], { days = 30 } = {}): TestCertificate {
  const { publicKey, privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  const name = sequence(tlv(0x31, sequence(oid('550403'), tlv(0x0c, Buffer.from('PF-3 test')))))
  const algorithm = sequence(oid('2a8648ce3d040302')) // ecdsa-with-SHA256
  const from = Date.now() - dayMs
  const body = sequence(
    tlv(0xa0, integer(Buffer.from([2]))), // Version 3.
    integer(Buffer.from(crypto.getRandomValues(new Uint8Array(8))).fill(0x4a, 0, 1)),
    algorithm,
    name,
    sequence(time(from), time(from + days * dayMs)),
    name,
    publicKey.export({ type: 'spki', format: 'der' }),
    tlv(
      0xa3,
      sequence(
        extension('551d11', alternativeNames(hosts)),
        extension('551d13', sequence(tlv(0x01, Buffer.from([0xff])))),
      ),
    ),
  )
  const signature = sign('sha256', body, createPrivateKey(privateKey.export({ type: 'pkcs8', format: 'pem' })))
  const der = sequence(body, algorithm, tlv(0x03, Buffer.concat([Buffer.from([0]), signature])))
  const lines = der.toString('base64').match(/.{1,64}/g) ?? []
  return {
    cert: `-----BEGIN CERTIFICATE-----\n${lines.join('\n')}\n-----END CERTIFICATE-----\n`,
    key: privateKey.export({ type: 'pkcs8', format: 'pem' }).toString(),
  }
}

function tlv(tag: number, value: Uint8Array): Buffer {
  const { length } = value
  const size = length < 0x80 ? [length] : length < 0x100 ? [0x81, length] : [0x82, length >> 8, length & 0xff]
  return Buffer.concat([Buffer.from([tag, ...size]), value])
}

const sequence = (...parts: readonly Uint8Array[]): Buffer => tlv(0x30, Buffer.concat(parts))
const integer = (bytes: Uint8Array): Buffer => tlv(0x02, bytes)
const oid = (hex: string): Buffer => tlv(0x06, Buffer.from(hex, 'hex'))
const time = (ms: number): Buffer =>
  tlv(0x18, Buffer.from(`${new Date(ms).toISOString().replaceAll(/[-:T]/g, '').slice(0, 14)}Z`))
const extension = (id: string, value: Buffer): Buffer => sequence(oid(id), tlv(0x04, value))
const alternativeNames = (hosts: readonly string[]): Buffer =>
  sequence(
    ...hosts.map((host) =>
      isIPv4(host) ? tlv(0x87, Buffer.from(host.split('.').map(Number))) : tlv(0x82, Buffer.from(host)),
    ),
  )
