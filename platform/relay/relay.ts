/** Wakes those who wait for something to become readable. Losing a wake-up costs latency, never correctness. */

export type Relay = {
  /** Tells all listeners of `topic`. */
  publish(topic: string, message: unknown): void
  /** The returned function stops listening. */
  listen(topic: string, hear: (message: unknown) => void): () => void
}

export function inProcessRelay(): Relay {
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
  }
}
