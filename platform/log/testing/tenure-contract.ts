/** What every log adapter must do about the owners of its partitions: commits whole, one owner at a time. Part of `contract.ts`. */
import { expect, test } from 'vitest'
import { type FactStream, platformTenantId } from '../../../schemas/streams.ts'
import type { FactRecord } from '../log.ts'
import {
  allFacts,
  bytes,
  contractRecordBytesMax,
  factsOf,
  type LogForTest,
  otherPartition,
  platformPartition,
  tenantIn,
} from './log-data.ts'

/** Call inside `describe`. */
export function tenureContract(openLog: () => Promise<LogForTest>): void {
  test('facts and intake offset are committed together', async () => {
    const { log, another } = await openLog()
    const key = tenantIn(otherPartition)
    await log.append([
      { key, value: bytes('a') },
      { key, value: bytes('b') },
    ])
    const tenure = await log.acquire(otherPartition)
    expect(tenure.committed).toEqual({ intakeOffset: 0n, seq: 0n })
    await tenure.commit(factsOf(otherPartition, 0n, ['jobs', 'billing']), 1n)
    expect(tenure.committed).toEqual({ intakeOffset: 1n, seq: 2n })
    await tenure.commit([], 2n)
    const outside = await another()
    // To be seen from outside may take a moment; the next owner knows at once.
    await expect.poll(() => outside.committed(otherPartition)).toEqual({ intakeOffset: 2n, seq: 2n })
    expect((await outside.acquire(otherPartition)).committed).toEqual({ intakeOffset: 2n, seq: 2n })
  })

  test('what does not go on from the last commit is refused, nothing of it is written, and the tenure lives on', async () => {
    const { log } = await openLog()
    await log.append([{ key: tenantIn(otherPartition), value: bytes('a') }])
    const tenure = await log.acquire(otherPartition)
    await tenure.commit(factsOf(otherPartition, 0n, ['jobs', 'jobs']), 1n)
    const good = factsOf(otherPartition, 2n, ['jobs', 'usage', 'billing'])
    const stranger: FactRecord = { stream: 'jobs', key: tenantIn(platformPartition), value: bytes('x'), seq: 3n }
    const large: FactRecord = {
      stream: 'jobs',
      key: tenantIn(otherPartition),
      value: new Uint8Array(contractRecordBytesMax + 1),
      seq: 4n,
    }
    await expect(tenure.commit(good.slice(1), 1n)).rejects.toMatchObject({ code: 'LOG_GAP' })
    await expect(tenure.commit([...good].reverse(), 1n)).rejects.toMatchObject({ code: 'LOG_GAP' })
    await expect(tenure.commit([...good, ...good], 1n)).rejects.toMatchObject({ code: 'LOG_GAP' })
    await expect(tenure.commit(factsOf(otherPartition, 1n, ['jobs']), 1n)).rejects.toMatchObject({ code: 'LOG_GAP' })
    await expect(tenure.commit(good, 0n)).rejects.toMatchObject({ code: 'LOG_GAP' })
    await expect(tenure.commit(good, 2n)).rejects.toMatchObject({ code: 'LOG_GAP' })
    await expect(tenure.commit([stranger], 1n)).rejects.toMatchObject({ code: 'INTERNAL' })
    await expect(
      tenure.commit([{ ...stranger, stream: 'directory', key: platformTenantId }], 1n),
    ).rejects.toMatchObject({ code: 'INTERNAL' })
    await expect(tenure.commit([...good.slice(0, 1), large], 1n)).rejects.toMatchObject({
      code: 'LOG_RECORD_TOO_LARGE',
      facts: { bytes: contractRecordBytesMax + 1, bytesMax: contractRecordBytesMax },
    })
    expect(await log.committed(otherPartition)).toEqual({ intakeOffset: 1n, seq: 2n })
    expect((await allFacts(log, otherPartition)).length).toBe(2)
    await tenure.commit(good, 1n)
    expect((await allFacts(log, otherPartition)).length).toBe(5)
  })

  test('one commit at a time', async () => {
    const { log } = await openLog()
    const tenure = await log.acquire(0)
    const first = tenure.commit(factsOf(0, 0n, ['jobs']), 0n)
    await expect(tenure.commit(factsOf(0, 0n, ['jobs']), 0n)).rejects.toMatchObject({ code: 'INTERNAL' })
    await first
    expect(tenure.committed.seq).toBe(1n)
  })

  test('a tenure is fenced by the next one: nothing that it commits is ever visible', async () => {
    const { log, another } = await openLog()
    const elsewhere = await another()
    const zombie = await log.acquire(0)
    await zombie.commit(factsOf(0, 0n, ['jobs']), 0n)
    const owner = await elsewhere.acquire(0)
    expect(owner.committed.seq).toBe(1n)
    await expect(zombie.commit(factsOf(0, 1n, ['jobs', 'billing']), 0n)).rejects.toMatchObject({ code: 'LOG_FENCED' })
    await expect(zombie.commit(factsOf(0, 1n, ['jobs', 'billing']), 0n)).rejects.toMatchObject({ code: 'LOG_FENCED' })
    await expect(zombie.commit([], 0n)).rejects.toMatchObject({ code: 'LOG_FENCED' })
    expect((await allFacts(log, 0)).length).toBe(1)
    await owner.commit(factsOf(0, 1n, ['usage']), 0n)
    expect((await allFacts(log, 0)).map(({ stream }) => stream)).toEqual(['jobs', 'usage'])
    const third = await log.acquire(0)
    expect(third.committed.seq).toBe(2n)
    await third.release()
    await expect(third.commit(factsOf(0, 2n, ['jobs']), 0n)).rejects.toMatchObject({ code: 'LOG_FENCED' })
  })

  test('an announcement binds nobody: other streams, fewer, none, or no commit at all may follow', async () => {
    const { log, another } = await openLog()
    const elsewhere = await another()
    const tenure = await log.acquire(platformPartition)
    const announced: ReadonlySet<FactStream> = new Set(['jobs', 'usage', 'billing'])
    const followed: FactStream[][] = [
      ['jobs', 'usage', 'billing'],
      ['jobs'],
      ['directory', 'jobs', 'transfers'],
      ['transfers'],
      [],
    ]
    for (const streams of followed) {
      tenure.announce(announced)
      await tenure.commit(factsOf(platformPartition, tenure.committed.seq, streams), 0n)
    }
    tenure.announce(announced)
    tenure.announce(new Set(['accounts']))
    // Nothing holds back who reads what is committed.
    expect((await allFacts(elsewhere, platformPartition)).map(({ stream }) => stream)).toEqual(followed.flat())
    const gap = tenure.commit(factsOf(platformPartition, 3n, ['jobs']), 0n)
    await expect(gap).rejects.toMatchObject({ code: 'LOG_GAP' })
    await tenure.commit(factsOf(platformPartition, tenure.committed.seq, ['accounts']), 0n)
    tenure.announce(announced)
    const next = await elsewhere.acquire(platformPartition)
    expect(next.committed.seq).toBe(9n)
    const late = tenure.commit(factsOf(platformPartition, 9n, ['jobs']), 0n)
    await expect(late).rejects.toMatchObject({ code: 'LOG_FENCED' })
    tenure.announce(announced)
    next.announce(announced)
    await next.release()
    next.announce(announced)
    const last = await log.acquire(platformPartition)
    await last.commit(factsOf(platformPartition, 9n, ['billing']), 0n)
    const all = await allFacts(elsewhere, platformPartition)
    expect(all.map(({ stream }) => stream)).toEqual([...followed.flat(), 'accounts', 'billing'])
  })

  test('a commit under way when the next owner acquires is either in its view or never', async () => {
    const { log, another } = await openLog()
    const elsewhere = await another()
    for (let round = 0; round < 10; round++) {
      const tenure = await log.acquire(2)
      const before = tenure.committed.seq
      const [commit, next] = await Promise.all([
        tenure.commit(factsOf(2, before, ['jobs', 'usage']), 0n).then(
          () => 'committed',
          (error: { code: string }) => error.code,
        ),
        elsewhere.acquire(2),
      ])
      // A log in other processes may leave the loser without knowing; then it says so, and nothing else.
      if (commit !== 'LOG_COMMIT_UNKNOWN')
        expect(commit).toBe(next.committed.seq === before + 2n ? 'committed' : 'LOG_FENCED')
      expect((await allFacts(log, 2)).length).toBe(Number(next.committed.seq))
    }
  })

  test.each([true, false])(
    'after a commit of which nobody knows (it happened: %s) the next tenure knows',
    async (isDurable) => {
      const { log, losingCommits } = await openLog()
      const tenure = await log.acquire(1)
      await tenure.commit(factsOf(1, 0n, ['jobs']), 0n)
      await losingCommits(isDurable, () =>
        expect(tenure.commit(factsOf(1, 1n, ['jobs', 'billing']), 0n)).rejects.toMatchObject({
          code: 'LOG_COMMIT_UNKNOWN',
        }),
      )
      await expect(tenure.commit(factsOf(1, 1n, ['jobs', 'billing']), 0n)).rejects.toMatchObject({
        code: 'LOG_FENCED',
      })
      const next = await log.acquire(1)
      expect(next.committed.seq).toBe(isDurable ? 3n : 1n)
      await next.commit(factsOf(1, next.committed.seq, ['usage']), 0n)
      expect((await allFacts(log, 1)).map(({ stream }) => stream)).toEqual(
        isDurable ? ['jobs', 'jobs', 'billing', 'usage'] : ['jobs', 'usage'],
      )
    },
  )
}
