/** One admin client of kafkajs at a time, and another one when it has failed or was late. */
import type { Admin } from 'kafkajs'
import type { Clock } from '../../clock.ts'
import { answered, farewell, type KafkaConnection, kafkaClient } from './client.ts'

export type Admins = {
  /** Rejects with what `request` rejects with, and after 10 s without an answer. */
  ask<Result>(request: (admin: Admin) => Promise<Result>): Promise<Result>
  close(): Promise<void>
}

/** Connects when it is first used. */
export function openAdmins(connection: KafkaConnection, clock: Clock): Admins {
  let current: Promise<Admin> | undefined

  function open(): Promise<Admin> {
    const admin = kafkaClient(connection).admin()
    return admin.connect().then(
      () => admin,
      (error: unknown) => {
        void farewell(clock, admin)
        throw error
      },
    )
  }

  return {
    async ask(request) {
      current ??= open()
      const used = current
      try {
        return await answered(clock, used.then(request))
      } catch (error) {
        if (current === used) current = undefined
        void used.then((admin) => farewell(clock, admin)).catch(() => undefined)
        throw error
      }
    },
    async close() {
      await current?.then((admin) => farewell(clock, admin)).catch(() => undefined)
    },
  }
}
