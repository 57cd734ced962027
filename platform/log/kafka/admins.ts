/** One admin client of kafkajs at a time, and another one when it has failed or was late. */
import type { Admin } from 'kafkajs'
import type { Clock } from '../../clock.ts'
import { answered, type Client, farewell, type KafkaConnection, kafkaClient, revocableConnection } from './client.ts'

export type Admins = {
  /** Rejects with what `request` rejects with, and after 10 s without an answer. */
  ask<Result>(request: (admin: Admin) => Promise<Result>): Promise<Result>
  close(): Promise<void>
}

type Opened = Client & { connected: Promise<Admin> }

/** Connects when it is first used. */
export function openAdmins(connection: KafkaConnection, clock: Clock): Admins {
  let current: Opened | undefined

  function open(): Opened {
    const { revocable, revoke } = revocableConnection(connection)
    const admin = kafkaClient(revocable).admin()
    return { connected: admin.connect().then(() => admin), disconnect: () => admin.disconnect(), revoke }
  }

  return {
    async ask(request) {
      current ??= open()
      const used = current
      try {
        return await answered(clock, used.connected.then(request))
      } catch (error) {
        if (current === used) current = undefined
        void farewell(clock, used)
        throw error
      }
    },
    close: () => farewell(clock, current),
  }
}
