/**
 * Look-ups that every request needs, grouped: whatever waits while one query runs is answered by the next.
 *
 * They run as the service, over several tenants in one statement, and each row is found by its tenant and id together:
 * the database cannot check a tenant here, so the pair does, and nobody is handed a row but who asked for that pair.
 * One transaction per tenant instead would cost a busy door as many transactions as it has tenants waiting. Everything
 * that is read for one tenant alone runs as that tenant, under row-level security.
 */
import { type BatcherOptions, batcher } from '../platform/batcher.ts'
import type { Clock } from '../platform/clock.ts'
import type { Database } from '../platform/postgres/database.ts'
import type { FreshContents } from '../platform/vault/fresh-content.ts'
import { isDamageOf, type PayloadVault } from '../platform/vault/vault.ts'
import { areSubmitted, type SubmissionKey, type SubmittedJob, submittedJobs } from '../producers/index.ts'
import { type AuditFact, answersToMany } from '../projections/audit-trail/queries.ts'
import { type Job, jobsById } from '../projections/job-list/queries.ts'
import { areRemoved, type MemberKey } from '../projections/member-list/queries.ts'
import { haveTenants } from '../projections/tenant-tree/queries.ts'
import { type Token, tokensByHash } from '../projections/token-list/queries.ts'

export type JobKey = { tenantId: string; jobId: string }
/** `submitted`: taken in, but not in the view yet. */
export type FoundJob = { kind: 'job'; job: Job } | { kind: 'submitted'; job: SubmittedJob }

/** What `jobEndedTopic` tells. */
export const foundJobFrom = (message: unknown): FoundJob | undefined =>
  message === null ? undefined : { kind: 'job', job: message as Job }

export type Views = {
  token(secretHash: string): Promise<Token | undefined>
  hasTenant(tenantId: string): Promise<boolean>
  isRemovedMember(key: MemberKey): Promise<boolean>
  job(key: JobKey): Promise<FoundJob | undefined>
  /** Whether an idempotency key stands for a job. */
  isSubmitted(key: SubmissionKey): Promise<boolean>
  /** Facts that a request led to; empty until its answer is out. */
  answers(key: { tenantId: string; requestId: string }): Promise<AuditFact[]>
  /**
   * Content of the vault; undefined when it is no longer kept. `isAwaited`: of a job that this request has begun and seen end,
   * so that what this process stored a moment ago will do. Anybody else is told what is kept now.
   */
  content(key: { tenantId: string; ref: string }, isAwaited?: boolean): Promise<Uint8Array | undefined>
}

const grouped: BatcherOptions = { itemsMax: 1_000, waitingMax: 50_000 }
/**
 * Every request asks for its token first. Where many are under way, those that come within so few milliseconds go the rest of
 * the way together: one statement, one transaction and one append carry them all.
 */
const togetherMs = 8
/** Contents can be large, so fewer of them are fetched together. */
const groupedContents: BatcherOptions = { itemsMax: 64, waitingMax: 50_000 }

export function batchedViews({
  database,
  vault,
  fresh,
  clock,
  isBusy,
}: {
  database: Database
  vault: PayloadVault
  fresh?: Pick<FreshContents, 'take'> | undefined
  clock: Clock
  /** Whether so many requests are under way that they gain by going together. */
  isBusy(): boolean
}): Views {
  return {
    token: batcher((hashes: readonly string[]) => findTokens(database, hashes), {
      ...grouped,
      pace: { clock, everyMs: togetherMs, isBusy },
    }),
    hasTenant: batcher((ids: readonly string[]) => database.asService((tx) => haveTenants(tx.last, ids)), grouped),
    isRemovedMember: batcher(
      (keys: readonly MemberKey[]) => database.asService((tx) => areRemoved(tx.last, keys)),
      grouped,
    ),
    job: batcher((keys: readonly JobKey[]) => findJobs(database, keys), grouped),
    isSubmitted: batcher(
      (keys: readonly SubmissionKey[]) => database.asService((tx) => areSubmitted(tx.last, keys)),
      grouped,
    ),
    answers: batcher(
      (keys: readonly { tenantId: string; requestId: string }[]) =>
        database.asService((tx) => answersToMany(tx.last, keys)),
      grouped,
    ),
    content: contents(vault, fresh),
  }
}

/** Each asked for once: those who send many requests at once send the same token. */
async function findTokens(database: Database, hashes: readonly string[]): Promise<(Token | undefined)[]> {
  const distinct = [...new Set(hashes)]
  const tokens = await database.asService((tx) => tokensByHash(tx.last, distinct))
  const byHash = new Map(distinct.map((hash, index) => [hash, tokens[index]]))
  return hashes.map((hash) => byHash.get(hash))
}

async function findJobs(database: Database, keys: readonly JobKey[]): Promise<(FoundJob | undefined)[]> {
  const jobs = await database.asService((tx) => jobsById(tx.last, keys))
  const missing = keys.filter((_, index) => jobs[index] === undefined)
  const submitted = missing.length === 0 ? [] : await database.asService((tx) => submittedJobs(tx.last, missing))
  const byKey = new Map(submitted.map((job) => [textOf(job), job]))
  return keys.map((key, index): FoundJob | undefined => {
    const job = jobs[index]
    if (job) return { kind: 'job', job }
    const early = byKey.get(textOf(key))
    return early && { kind: 'submitted', job: early }
  })
}

function contents(vault: PayloadVault, fresh: Pick<FreshContents, 'take'> | undefined): Views['content'] {
  type Wanted = { tenantId: string; ref: string }
  const together = batcher<Wanted, Uint8Array | undefined>(
    async (wanted) => {
      const found = await vault.getMany(wanted)
      return wanted.map(({ ref }) => found.get(ref))
    },
    { ...groupedContents, isFaultOf: isDamageOf },
  )
  return async (key, isAwaited = false) => (isAwaited ? fresh?.take(key) : undefined) ?? together(key)
}

const textOf = ({ tenantId, jobId }: JobKey): string => JSON.stringify([tenantId, jobId])
