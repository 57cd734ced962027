/** Wakes those who wait for something to become readable. Losing a wake-up costs latency, never correctness. */

export type Relay = {
  /** Tells all listeners of `topic`. */
  publish(topic: string, message: unknown): void
  /** The returned function stops listening. */
  listen(topic: string, hear: (message: unknown) => void): () => void
  /** Whether what is published in any process is heard here; where not, whoever waits looks more often. */
  hearsAll(): boolean
}

/** `hearsAll`: whether everything that is waited for is published in this process; default true. */
export function inProcessRelay({ hearsAll = true } = {}): Relay {
  const listeners = new Map<string, Set<(message: unknown) => void>>()
  return {
    publish(topic, message) {
      for (const hear of [...(listeners.get(topic) ?? [])]) hear(message)
    },
    listen(topic, hear) {
      const set = listeners.get(topic) ?? new Set()
      listeners.set(topic, set.add(hear))
      return () => {
        set.delete(hear)
        if (set.size === 0 && listeners.get(topic) === set) listeners.delete(topic)
      }
    },
    hearsAll: () => hearsAll,
  }
}

/** Topics are tuples, never joined text: parts may hold any character. */
export const topic = (...parts: readonly string[]): string => JSON.stringify(parts)
/** Published when something that happened to a job has become readable. */
export const jobChangedTopic = (tenantId: string, jobId: string): string => topic('job-changed', tenantId, jobId)
/** Published when a job's end has become readable: with the job, in the process that wrote it, and with null elsewhere. */
export const jobEndedTopic = (tenantId: string, jobId: string): string => topic('job-ended', tenantId, jobId)
/** Published when the facts a request led to have become readable. */
export const answeredTopic = (tenantId: string, requestId: string): string => topic('answered', tenantId, requestId)
