/** Waits for the ends of many jobs of one tenant together: one look at all of them once the last has been told of. */
import { jobEndedTopic } from '../../platform/relay/relay.ts'
import { awaitReadable, ifPassing } from '../await-readable.ts'
import type { Parts } from '../parts.ts'
import type { Asked } from '../route.ts'
import { type FoundJob, foundJobFrom, type Views } from '../views.ts'
import { hasEnded } from './job-reply.ts'

/** Looks of one waiter that stand in the queue at once: batches wait in it together, and it has an end. */
const lookedAtMax = 1_000

/** Where a request says which jobs it is about to submit, and what became of that. */
export type Awaited = {
  /** Before the job is submitted, so that its end is not missed. Safe to repeat. */
  expect(jobId: string): void
  /** The job is there, and its end is waited for; one that is not new may have ended already, and has another name than the expected one. */
  taken(jobId: string, isNew: boolean): void
}

/**
 * Submits, and waits for what was taken: answers what was last found of each job, by its id. Ends early as soon as all
 * have ended, and when nobody waits for the answer any more.
 */
export async function awaitEnds(
  tenantId: string,
  waitMs: number,
  { gone: signal, rest }: Pick<Asked<unknown, unknown, unknown>, 'gone' | 'rest'>,
  { relay, clock, views }: Pick<Parts, 'relay' | 'clock'> & { views: Pick<Views, 'job'> },
  submitAll: (awaited: Awaited) => Promise<void>,
): Promise<ReadonlyMap<string, FoundJob>> {
  const found = new Map<string, FoundJob>()
  const stops = new Map<string, () => void>()
  /** With what they have come to, where this process has written it. */
  const told = new Map<string, FoundJob | undefined>()
  const open = new Set<string>()
  /** Of `open` those that were not told of yet. */
  const untold = new Set<string>()
  let mayBeThere = false
  let isSubmitted = false
  let wake = () => {}
  const awaited: Awaited = {
    expect(jobId) {
      if (stops.has(jobId)) return
      const stop = relay.listen(jobEndedTopic(tenantId, jobId), (message) => {
        told.set(jobId, told.get(jobId) ?? foundJobFrom(message)) // Of other processes it comes without.
        if (untold.delete(jobId) && untold.size === 0 && isSubmitted) wake()
      })
      stops.set(jobId, stop)
    },
    taken(jobId, isNew) {
      awaited.expect(jobId)
      open.add(jobId)
      if (!told.has(jobId)) untold.add(jobId)
      mayBeThere ||= !isNew
    },
  }

  async function look(): Promise<void> {
    for (const [jobId, job] of told) if (job && open.has(jobId)) note(jobId, job)
    const asked = [...open]
    for (let from = 0; from < asked.length; from += lookedAtMax) {
      const some = asked.slice(from, from + lookedAtMax)
      // All asked for in one turn: one statement for all of them. Where nothing can be looked at now, nothing has ended yet.
      const looks = some.map((jobId) => views.job({ tenantId, jobId }).catch(ifPassing(undefined)))
      for (const [index, job] of (await Promise.all(looks)).entries()) note(some[index] ?? '', job)
    }
  }

  function note(jobId: string, job: FoundJob | undefined): void {
    if (job) found.set(jobId, job)
    if (!hasEnded(job)) return
    open.delete(jobId)
    untold.delete(jobId)
  }

  await awaitReadable(
    { relay, clock },
    {
      listen(hear) {
        wake = hear
        return () => {
          for (const stop of stops.values()) stop()
        }
      },
      look,
      isThere: () => open.size === 0,
      waitMs,
      signal,
      rest,
      async cause() {
        await submitAll(awaited)
        isSubmitted = true
        return { mayBeThere: mayBeThere || untold.size === 0 }
      },
    },
  )
  return found
}
