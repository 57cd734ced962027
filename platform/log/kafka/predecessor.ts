/**
 * A process that was killed stays a member of the group of owners until its session is over, and its partitions stand
 * still for that long. Whoever starts in its place, with its data directory, says goodbye for it. Should it live after
 * all, it hears that it is no member, as after any session, and its tenures are fenced as ever.
 */
import { readFile, rename, writeFile } from 'node:fs/promises'
import type { Clock } from '../../clock.ts'
import { answered, clusterClient, coordinatorOf, farewell, type KafkaConnection } from './client.ts'

/** The id of the member that this process, or the one before it, is in the group; kept in a file. */
export type MemberNote = {
  read(): Promise<string | undefined>
  /** Rejects never: without it the next start waits for the end of a session. */
  write(memberId: string): Promise<void>
}

export const memberNote = (file: string): MemberNote => ({
  read: () =>
    readFile(file, 'utf8').then(
      (text) => text.trim() || undefined,
      () => undefined,
    ),
  async write(memberId) {
    const made = `${file}.new`
    await writeFile(made, `${memberId}\n`)
      .then(() => rename(made, file))
      .catch(() => undefined)
  },
})

const goodbyeMsMax = 2_000

/** Takes the member that the note names out of the group. Rejects never, and takes 2 s at most. */
export async function sayGoodbye(
  note: MemberNote,
  { connection, groupId, clock }: { connection: KafkaConnection; groupId: string; clock: Clock },
): Promise<void> {
  const memberId = await note.read()
  if (memberId === undefined) return
  const cluster = clusterClient(connection)
  const said = async () => {
    await cluster.connect()
    const coordinator = await cluster.findGroupCoordinator({ groupId, coordinatorType: coordinatorOf.group })
    await coordinator.leaveGroup({ groupId, memberId })
  }
  // A member that nobody knows any more has gone by itself.
  await answered(clock, said(), goodbyeMsMax).catch(() => undefined)
  await farewell(clock, cluster)
}
