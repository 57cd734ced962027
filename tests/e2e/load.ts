/** Careful clients who submit one job after another for as long as they are let, while services die under them. */
import type { ApiJob } from '../../api/jobs/convert.ts'
import type { ApiClient } from '../../bin/demo/api-client.ts'
import { jobClient, type WantedJob } from '../../bin/demo/job-client.ts'

export type Load = {
  /** Submissions that are sent and not answered. */
  unanswered(): number
  /** Jobs that have ended, so far. */
  ended(): number
  /** Resolves with the next job that is taken; rejects when the load has failed. */
  goesOn(): Promise<void>
  /** Lets what is under way come to its end. By key: the id of every job that was acknowledged, and its end. */
  finish(): Promise<{ acknowledged: Map<string, string>; ends: Map<string, ApiJob> }>
}

/** Lanes that submit one job after another and wait for its end, each with its own key, until told to finish. */
export function startLoad(
  client: Pick<ApiClient, 'ask'>,
  tokens: readonly string[],
  random: () => number,
  { lanes, giveUpMs }: { lanes: number; giveUpMs: number },
): Load {
  const jobs = jobClient(client, giveUpMs)
  const acknowledged = new Map<string, string>()
  const ends = new Map<string, ApiJob>()
  let unanswered = 0
  let isFinishing = false
  let made = 0
  const waiting: (() => void)[] = []

  async function lane(): Promise<void> {
    while (!isFinishing) {
      const wanted = nextJob()
      unanswered += 1
      const { id } = await jobs.submit(wanted).finally(() => (unanswered -= 1))
      acknowledged.set(wanted.key, id)
      for (const go of waiting.splice(0)) go()
      ends.set(wanted.key, await jobs.end(wanted, id))
    }
  }

  function nextJob(): WantedJob {
    made += 1
    const token = tokens[made % tokens.length] ?? ''
    const text = `Message ${made} of a busy day.`
    const body =
      random() < 0.6
        ? { capability: 'generate.text', input: { prompt: text }, params: { maxOutputTokens: 64 } }
        : { capability: 'classify.sentiment', input: { text } }
    return { token, key: `job-${made}`, body }
  }

  const running = Promise.all(Array.from({ length: lanes }, lane))
  running.catch(() => undefined) // Met by finish.
  return {
    unanswered: () => unanswered,
    ended: () => ends.size,
    goesOn: () => Promise.race([new Promise<void>((resolve) => waiting.push(resolve)), running.then(() => undefined)]),
    async finish() {
      isFinishing = true
      await running
      return { acknowledged, ends }
    },
  }
}

/** Mulberry32: small, and the same everywhere. */
export function sequence(start: number): () => number {
  let state = start >>> 0
  return () => {
    state = (state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
}
