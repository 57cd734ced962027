import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { COMPATIBILITY, SchemaRegistry, SchemaType } from '@kafkajs/confluent-schema-registry'
import { expect, onTestFinished, test } from 'vitest'
import { codecFor, type EventName } from '../../schemas/codec.ts'
import type { CapRemoved } from '../../schemas/events.generated.ts'
import { readOwnSchemas } from '../../schemas/own-schemas.ts'
import { startDoor, through } from '../../tests/machine/door.ts'
import { systemClock as clock } from '../clock.ts'
import { applySchemas, diffSchemas, openRegistry, type RegistryParts } from './registry.ts'

const registryUrl = process.env['PF3_TEST_REGISTRY_URL'] ?? ''
const own = readOwnSchemas()
const capRemoved = own.get('CapRemoved') ?? ''
let installations = 0

/** Two events are enough, of an installation that nobody has registered anything for. */
function freshParts(url = registryUrl): RegistryParts {
  installations += 1
  const few = new Map<EventName, string>([
    ['CapRemoved', capRemoved],
    ['JobRated', own.get('JobRated') ?? ''],
  ])
  return { connection: { url }, prefix: `registry-${process.pid}-${installations}.`, own: few, clock }
}

async function freshFile(): Promise<string> {
  const dir = await mkdtemp(join(tmpdir(), 'pf3-registry-'))
  onTestFinished(() => rm(dir, { recursive: true }))
  return join(dir, 'registry.json')
}

const cap: CapRemoved = {
  type: 'CapRemoved',
  eventId: 'evt_1',
  tenantId: 'acme',
  seq: 7n,
  occurredAt: 1n,
  actor: 'token:t',
  correlationId: 'c',
  causedBy: 'req_1',
  traceparent: null,
  intakeOffset: 3n,
  capId: 'monthly',
  version: 2n,
}

/** As a later build would write it: one more optional field. */
const laterCapRemoved = capRemoved.replace(
  /\]\s*\}\s*$/,
  ',{"name":"note","type":["null","string"],"doc":"Why.","default":null}]}',
)

const subjectOf = ({ prefix }: RegistryParts) => `${prefix}accounts-webwaka.pf3.accounts.CapRemoved`

test('what a build needs is said, registered once under FULL_TRANSITIVE, and then looked up', async () => {
  const parts = freshParts()
  const missing = [
    `${parts.prefix}accounts-webwaka.pf3.accounts.CapRemoved`,
    `${parts.prefix}billing-webwaka.pf3.billing.JobRated`,
  ]
  await expect(openRegistry(parts, await freshFile())).rejects.toMatchObject({
    code: 'SCHEMA_UNKNOWN',
    facts: { problem: `not registered: ${missing.join(', ')}. pf3 topics apply registers them` },
  })
  expect((await diffSchemas(parts)).map(({ subject }) => subject)).toEqual(missing)
  expect((await applySchemas(parts)).map(({ subject }) => subject)).toEqual(missing)
  expect(await diffSchemas(parts)).toEqual([])
  expect(await applySchemas(parts)).toEqual([])
  const config = await fetch(`${registryUrl}/config/${subjectOf(parts)}`)
  expect(await config.json()).toEqual({ compatibilityLevel: 'FULL_TRANSITIVE' })

  const registry = await openRegistry(parts, await freshFile())
  const codec = codecFor(registry, own)
  const bytes = codec.encode(cap)
  expect(bytes.readUInt32BE(1)).toBe(registry.idOf('CapRemoved'))
  expect(codec.decode(bytes)).toEqual(cap)
})

test('a schema that may not follow is refused, and says which', async () => {
  const parts = freshParts()
  await applySchemas(parts)
  const broken = capRemoved.replace('"capId"', '"capName"')
  const changed = { ...parts, own: new Map<EventName, string>([['CapRemoved', broken]]) }
  await expect(applySchemas(changed)).rejects.toMatchObject({
    code: 'SCHEMA_INCOMPATIBLE',
    facts: { subject: subjectOf(parts) },
  })
})

test('what a later build writes is learned when it is met, and read by this one', async () => {
  const parts = freshParts()
  await applySchemas(parts)
  const file = await freshFile()
  const registry = await openRegistry(parts, file)
  const later = new SchemaRegistry({ host: registryUrl })
  const { id } = await later.register(
    { type: SchemaType.AVRO, schema: laterCapRemoved },
    { subject: subjectOf(parts), compatibility: COMPATIBILITY.FULL_TRANSITIVE },
  )
  const laterCodec = codecFor({ idOf: () => id, schemaOf: () => undefined }, new Map([['CapRemoved', laterCapRemoved]]))
  const bytes = laterCodec.encode({ ...cap, note: 'too dear' } as CapRemoved)

  const codec = codecFor(registry, own)
  expect(() => codec.decode(bytes)).toThrow(`No schema is registered under id ${id}.`)
  await registry.learn([bytes, bytes])
  expect(codec.decode(bytes)).toEqual(cap)
  // What was learned is kept for the next start.
  expect((await openRegistry(parts, file)).schemaOf(id)?.name).toBe('CapRemoved')
})

test('many that write down at once what they have learned do not take the file from each other', async () => {
  const parts = freshParts()
  await applySchemas(parts)
  const file = await freshFile()
  const registries = await Promise.all(Array.from({ length: 16 }, () => openRegistry(parts, file)))
  expect(new Set(registries.map((registry) => registry.idOf('JobRated'))).size).toBe(1)
  expect((await readdir(dirname(file))).length).toBe(1)
  expect(JSON.parse(await readFile(file, 'utf8'))).toMatchObject({ known: [{}, {}] })
})

test('while the registry is away everything known goes on, also over a restart; what is new waits for it', async () => {
  const door = await startDoor(registryUrl)
  onTestFinished(door.shut)
  const parts = freshParts(through(registryUrl, door))
  await applySchemas(parts)
  const file = await freshFile()
  const registry = await openRegistry(parts, file)
  await door.shut()
  const codec = codecFor(registry, own)
  expect(codec.decode(codec.encode(cap))).toEqual(cap)
  await registry.learn([codec.encode(cap)])
  expect((await openRegistry(parts, file)).idOf('CapRemoved')).toBe(registry.idOf('CapRemoved'))
  await expect(openRegistry(parts, await freshFile())).rejects.toMatchObject({ code: 'REGISTRY_UNAVAILABLE' })

  const stranger = Buffer.concat([Buffer.from([0, 0x7f, 0xff, 0xff, 0xf0]), Buffer.from('?')])
  await expect(registry.learn([stranger])).rejects.toMatchObject({ code: 'REGISTRY_UNAVAILABLE', canRetry: true })
  await door.open()
  await registry.learn([stranger])
  expect(() => codec.decode(stranger)).toThrow('No schema is registered')
})

test('ids of another registry, and a file that was spoilt, are not believed', async () => {
  const parts = freshParts()
  await applySchemas(parts)
  const file = await freshFile()
  await openRegistry(parts, file)
  await expect(openRegistry({ ...parts, connection: { url: 'http://127.0.0.1:9' } }, file)).rejects.toMatchObject({
    code: 'REGISTRY_UNAVAILABLE',
  })
})
