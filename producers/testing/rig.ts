/** A door's inner half for tests: the real embedded database, a real log and vault; faults come from the log alone. */
import { type Clock, type Random, systemClock, systemRandom } from '../../platform/clock.ts'
import { embeddedLog } from '../../platform/log/embedded.ts'
import type { Log, StoredRequest } from '../../platform/log/log.ts'
import type { Database } from '../../platform/postgres/database.ts'
import { openEmbeddedDatabase } from '../../platform/postgres/embedded.ts'
import { migrate } from '../../platform/postgres/migrate.ts'
import { masterKeyFrom } from '../../platform/vault/master-key.ts'
import { payloadVault, type StoredPayloadVault, vaultMigrations } from '../../platform/vault/payload-vault.ts'
import { type Codec, codecFor } from '../../schemas/codec.ts'
import type { Request } from '../../schemas/events.generated.ts'
import { jobIdFrom } from '../../schemas/ids.ts'
import { eventNames, readOwnSchemas } from '../../schemas/own-schemas.ts'
import { type Caller, type RequestAppender, requestAppender } from '../append-request.ts'
import { submissionMigrations, submissionStore } from '../submissions.ts'
import { type JobRequest, type JobSubmitter, jobSubmitter, type SubmitterParts } from '../submit-job.ts'

const ownSchemas = readOwnSchemas()
export const memoryCodec: Codec = codecFor(
  {
    idOf: (name) => eventNames.indexOf(name) + 1,
    schemaOf(id) {
      const name = eventNames[id - 1]
      const schema = name && ownSchemas.get(name)
      return name && schema !== undefined ? { name, schema } : undefined
    },
  },
  ownSchemas,
)

export const partitionCount = 4
const secret = new Uint8Array(32).fill(7)

export type Rig = {
  database: Database
  log: Log
  vault: StoredPayloadVault
  close(): Promise<void>
}

/** Closes the database with itself. */
export async function openRig(given?: Database): Promise<Rig> {
  const database = given ?? (await openEmbeddedDatabase())
  await migrate(database, [...vaultMigrations, ...submissionMigrations])
  const log = await embeddedLog({ database, partitionCount, clock: systemClock })
  const vault = payloadVault({ database, masterKey: masterKeyFrom(secret), clock: systemClock, random: systemRandom })
  return {
    database,
    log,
    vault,
    async close() {
      await log.close()
      await database.close()
    },
  }
}

export type Door = { appender: RequestAppender; submitter: JobSubmitter; faults: unknown[] }

/** A door as one process has it: nothing is shared with another but database, log and keys. */
export function openDoor(parts: {
  database: Database
  log: Log
  vault: StoredPayloadVault
  clock?: Clock
  random?: Random
  fresh?: SubmitterParts['fresh']
}): Door {
  const { database, log, vault, clock = systemClock, random = systemRandom, fresh } = parts
  const faults: unknown[] = []
  const appender = requestAppender({ log, codec: memoryCodec, clock, random })
  const onFault = (error: unknown) => void faults.push(error)
  const submitter = jobSubmitter({
    appender,
    submissions: submissionStore({ database, vault }),
    vault,
    ...(fresh && { fresh }),
    clock,
    bodyKey: secret,
    onFault,
  })
  return { appender, submitter, faults }
}

export const caller: Caller = { actor: 'token:tok_1', correlationId: 'corr_1', traceparent: null }

let asked = 0

/** Each asked for at another time, also of the same key. */
export const aJob = (tenantId: string, idempotencyKey: string, text = 'hello'): JobRequest => ({
  tenantId,
  idempotencyKey,
  jobId: jobIdFrom(tenantId, idempotencyKey, ++asked),
  body: Buffer.from(JSON.stringify({ text })),
  payload: Buffer.from(JSON.stringify({ input: { text }, params: {} })),
  memberId: null,
  capability: 'classify.sentiment',
  resourceId: null,
  model: null,
  priority: 3,
  inputTokensMax: 21n,
  outputTokensMax: 1n,
  maxCharge: null,
  deadlineMs: 60_000n,
})

const readMax = 10_000

/** Every request in the log, partition by partition, in order. */
export async function requestsIn(log: Log): Promise<(Request & { stored: StoredRequest })[]> {
  const all: (Request & { stored: StoredRequest })[] = []
  for (let partition = 0; partition < log.partitionCount; partition++) {
    let offset = 0n
    for (;;) {
      const read = await log.readIntake(partition, offset, { recordsMax: readMax, waitMs: 0 })
      if (read.length === 0) break
      all.push(...read.map((stored) => ({ ...(memoryCodec.decode(stored.value) as Request), stored })))
      offset = (read.at(-1)?.offset ?? 0n) + 1n
    }
  }
  return all
}
