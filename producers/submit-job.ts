/**
 * Takes a job in, once per idempotency key, and answers only after the log has it.
 *
 *   payload and row (tenant, key, id of the job, MAC of the body, request bytes) in one transaction
 *   → SubmitJob appended to intake → answer → row marked as appended, behind the caller's back
 *
 * Whatever dies in between, a retry with the same key finds the row: unmarked, it appends the same bytes again, and the
 * owner drops what it has taken already; marked, it appends nothing. The owner remembers answered jobs for at least a
 * day, so a row that has stood unmarked for longer than `appendAgainMsMax` is not appended again.
 */
import { createHmac, createSecretKey, hkdfSync, type KeyObject, timingSafeEqual } from 'node:crypto'
import { batcher } from '../platform/batcher.ts'
import type { Clock } from '../platform/clock.ts'
import { isFailure, PlatformError } from '../platform/errors.ts'
import type { FreshContents } from '../platform/vault/fresh-content.ts'
import { isDamageOf, type PayloadReceipt, type PayloadVault, type SealedPayload } from '../platform/vault/vault.ts'
import type { SubmitJobBody } from '../schemas/events.generated.ts'
import { idFrom, idWithin } from '../schemas/ids.ts'
import type { Caller, RequestAppender } from './append-request.ts'
import { type SubmissionRow, type SubmissionStore, submissionText } from './submissions.ts'

export type JobRequest = {
  tenantId: string
  /** 1 to 255 printable ASCII characters. */
  idempotencyKey: string
  /** What the job is called if no other request has made it: from `jobIdFrom`. */
  jobId: string
  /** Everything that was asked, in one agreed form: the same key with other bytes is a conflict. */
  body: Uint8Array
  /** What the vault keeps for the attempt. */
  payload: Uint8Array
} & Pick<
  SubmitJobBody,
  | 'memberId'
  | 'capability'
  | 'resourceId'
  | 'model'
  | 'priority'
  | 'inputTokensMax'
  | 'outputTokensMax'
  | 'maxCharge'
  | 'deadlineMs'
>

export type Submitted = {
  /** As the first request for the key called it. */
  jobId: string
  /** False when an earlier request with the same key and body made the job. */
  isNew: boolean
}

export type JobSubmitter = {
  /**
   * Resolves once the log has the job. Throws IDEMPOTENCY_CONFLICT (same key, other body), IDEMPOTENCY_EXPIRED,
   * LOG_BUSY, LOG_UNAVAILABLE, DATABASE_UNAVAILABLE; after the last three a retry with the same key is safe and needed.
   */
  submitJob(caller: Caller, job: JobRequest): Promise<Submitted>
  /** Marks what is outstanding, and resolves when nothing is; for stopping. */
  settled(): Promise<void>
}

export type SubmitterParts = {
  appender: RequestAppender
  submissions: SubmissionStore
  vault: PayloadVault
  /** Is given every input that is new, for an owner in the same process. */
  fresh?: Pick<FreshContents, 'keep'>
  clock: Clock
  /** 32 secret bytes that all doors share; the key that compares a tenant's bodies is derived from them. */
  bodyKey: Uint8Array
  /** A mark that could not be written costs nothing but a second, dropped request after a retry. */
  onFault: (error: unknown) => void
}

/** The owner remembers an answered job for 24 hours at least; the rest is room for a log that lags. */
export const appendAgainMsMax = 20 * 3_600_000
/** Submissions written together. */
const itemsMax = 512
/** Payload bytes written together; a single larger payload is written alone. */
const batchBytesMax = 8 * 1024 * 1024
/** How long a row that was appended waits for others before it is marked. */
const markWaitMs = 100
/** Submissions waiting to be written or to be marked, and their payload bytes; one more is refused with LOG_BUSY. */
const waitingMax = 20_000
const waitingBytesMax = 256 * 1024 * 1024

/** Tenants whose keys are remembered; then all are derived anew. */
const tenantKeysMax = 30_000

const keyForm = /^[\x20-\x7e]{1,255}$/

/** `inputRef`: where the vault keeps the input. */
type Asked = {
  inputRef: string
  caller: Caller
  job: JobRequest
  bodyMac: Buffer
}
type Found = { row: SubmissionRow; isNew: boolean }

export function jobSubmitter(parts: SubmitterParts): JobSubmitter {
  const { appender, submissions, vault, clock, onFault } = parts
  const tenantKeyOf = tenantKeys(parts.bodyKey)
  let waitingBytes = 0
  const unmarked: SubmissionRow[] = []
  let cancelMarking: (() => void) | undefined
  let marking = Promise.resolve()
  // Retries that meet in one process share the append of whoever came first, until the row says that it happened.
  const underWay = new Map<string, Promise<void>>()
  /** Whoever made the job, also when its batch is written again without somebody else's. */
  const isNew = new WeakSet<Asked>()

  const store = batcher<Asked, Found>(
    async (items) => {
      const found = new Map<string, SubmissionRow>()
      for (const chunk of chunksOf(firstOfEachKey(items))) await storeChunk(chunk, found)
      return items.map((item) => {
        const row = found.get(submissionText(item.job))
        if (!row)
          throw new PlatformError('INTERNAL', {
            jobId: item.job.jobId,
            problem: 'a submission was neither written nor found',
          })
        return { row, isNew: isNew.has(item) }
      })
    },
    { itemsMax, waitingMax, isFaultOf: (error, { job, inputRef }) => isDamageOf(error, { ...job, ref: inputRef }) },
  )

  async function storeChunk(chunk: readonly Asked[], found: Map<string, SubmissionRow>): Promise<void> {
    const kept = await sealAndKeep(chunk).catch((error: unknown) => {
      if (!isFailure(error, 'VAULT_KEY_GONE')) throw error
      return sealAndKeep(chunk) // An erasure came between: what comes after it stands under new keys.
    })
    for (const row of kept.rows) found.set(submissionText(row), row)
    for (const item of chunk) {
      if (!kept.isNew.has(submissionText(item.job))) continue
      isNew.add(item)
      const { job, inputRef } = item
      parts.fresh?.keep({ tenantId: job.tenantId, ref: inputRef, content: job.payload })
    }
  }

  async function sealAndKeep(chunk: readonly Asked[]): ReturnType<SubmissionStore['keep']> {
    const sealed = await vault.seal(
      chunk.map(({ job, inputRef }) => ({
        tenantId: job.tenantId,
        ref: inputRef,
        class: 'day',
        content: job.payload,
      })),
    )
    const wanted = await Promise.all(
      chunk.map(async (item, index) => {
        const payload = sealedAt(sealed, index)
        return { payload, row: await rowOf(item, payload.receipt) }
      }),
    )
    return submissions.keep(wanted)
  }

  async function rowOf({ caller, job, bodyMac }: Asked, receipt: PayloadReceipt): Promise<SubmissionRow> {
    const {
      tenantId,
      idempotencyKey,
      jobId,
      memberId,
      capability,
      resourceId,
      model,
      priority,
      inputTokensMax,
      outputTokensMax,
      maxCharge,
      deadlineMs,
    } = job
    const { value } = await appender.encode(caller, {
      type: 'SubmitJob',
      tenantId,
      requestId: idFrom('req', 'SubmitJob', tenantId, jobId),
      jobId,
      memberId,
      capability,
      resourceId,
      model,
      payloadRef: receipt.ref,
      payloadBytes: BigInt(receipt.bytes),
      payloadMac: receipt.mac,
      priority,
      inputTokensMax,
      outputTokensMax,
      maxCharge,
      deadlineMs,
    })
    const createdAtMs = clock.nowMs()
    return { tenantId, idempotencyKey, jobId, bodyMac, capability, memberId, priority, request: value, createdAtMs }
  }

  /** Resolves when the log has the request, however many ask for it at once. */
  function append(row: SubmissionRow): Promise<void> {
    const id = appendedText(row)
    const known = underWay.get(id)
    if (known !== undefined) return known
    if (row.request === null) return Promise.resolve()
    const appended = appender.appendEncoded({ key: row.tenantId, value: row.request }).then(() => undefined)
    underWay.set(id, appended)
    appended.then(
      () => markLater(row),
      () => underWay.delete(id),
    )
    return appended
  }

  function markLater(row: SubmissionRow): void {
    if (unmarked.length >= waitingMax) {
      underWay.delete(appendedText(row))
      onFault(new PlatformError('LOG_BUSY', { unmarked: unmarked.length }))
      return
    }
    unmarked.push(row)
    // Nobody waits for a mark, so it can wait for others: one small transaction less for most submissions.
    cancelMarking ??= clock.after(markWaitMs, () => void startMarking())
  }

  function startMarking(): Promise<void> {
    cancelMarking?.()
    cancelMarking = undefined
    marking = marking.then(markAll)
    return marking
  }

  async function markAll(): Promise<void> {
    while (unmarked.length > 0) {
      const rows = unmarked.splice(0, itemsMax)
      await submissions.markAppended(rows, clock.nowMs()).catch(onFault)
      for (const row of rows) underWay.delete(appendedText(row))
    }
  }

  return {
    async submitJob(caller, job) {
      const { tenantId, idempotencyKey } = job
      // One key the database cannot hold would fail everybody's batch.
      if (!keyForm.test(idempotencyKey))
        throw new PlatformError('REQUEST_INVALID', {
          problem: 'the idempotency key is not 1 to 255 printable ASCII characters',
        })
      const inputRef = idWithin(job.jobId, 'in', tenantId, job.jobId)
      const bodyMac = createHmac('sha256', tenantKeyOf(tenantId)).update(job.body).digest()
      const bytes = job.payload.byteLength + job.body.byteLength
      if (waitingBytes > 0 && waitingBytes + bytes > waitingBytesMax)
        throw new PlatformError('LOG_BUSY', { waitingBytes })
      waitingBytes += bytes
      const { row, isNew } = await store({ inputRef, caller, job, bodyMac }).finally(() => {
        waitingBytes -= bytes
      })
      const { jobId } = row
      if (!timingSafeEqual(row.bodyMac, bodyMac)) throw new PlatformError('IDEMPOTENCY_CONFLICT', { jobId })
      if (row.request !== null && clock.nowMs() - row.createdAtMs > appendAgainMsMax)
        throw new PlatformError('IDEMPOTENCY_EXPIRED', { jobId })
      await append(row)
      return { jobId, isNew }
    },
    async settled() {
      await startMarking()
    },
  }
}

/** By job and not by key: a key whose row was lost has stood for two. */
const appendedText = (row: SubmissionRow): string => JSON.stringify([row.tenantId, row.jobId])

/** Own for each tenant, so that equal bodies of two tenants do not show as equal. Derived once while a tenant keeps submitting. */
function tenantKeys(bodyKey: Uint8Array): (tenantId: string) => KeyObject {
  const known = new Map<string, KeyObject>()
  return (tenantId) => {
    const found = known.get(tenantId)
    if (found) return found
    if (known.size >= tenantKeysMax) known.clear()
    const derived = hkdfSync('sha256', bodyKey, new Uint8Array(), `pf3 submission body ${tenantId}`, 32)
    const key = createSecretKey(new Uint8Array(derived))
    known.set(tenantId, key)
    return key
  }
}

function firstOfEachKey(items: readonly Asked[]): Asked[] {
  const first = new Map<string, Asked>()
  for (const item of items) if (!first.has(submissionText(item.job))) first.set(submissionText(item.job), item)
  return [...first.values()]
}

function chunksOf(items: readonly Asked[]): Asked[][] {
  const chunks: Asked[][] = []
  let current: Asked[] = []
  let bytes = 0
  for (const item of items) {
    if (current.length > 0 && bytes + item.job.payload.byteLength > batchBytesMax) {
      chunks.push(current)
      current = []
      bytes = 0
    }
    current.push(item)
    bytes += item.job.payload.byteLength
  }
  return [...chunks, current]
}

function sealedAt(sealed: readonly SealedPayload[], index: number): SealedPayload {
  const payload = sealed[index]
  if (!payload) throw new PlatformError('INTERNAL', { problem: 'the vault sealed fewer payloads than it was given' })
  return payload
}
