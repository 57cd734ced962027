/**
 * The victim of crash.test.ts: opens the log, waits to be told, then appends and commits as fast as it can, saying what
 * it begins and what was acknowledged, until it is killed. Arguments: data directory, round.
 *
 * Every request leads to two facts that name its offset, so that a torn commit would show.
 */
import { writeSync } from 'node:fs'
import { systemClock } from '../../clock.ts'
import { openEmbeddedDatabase } from '../../postgres/embedded.ts'
import { embeddedLog } from '../embedded.ts'
import type { FactRecord } from '../log.ts'

const appendersAtOnce = 3
const requestsMax = 40

const [dataDir = '', round = ''] = process.argv.slice(2)
/** Written before anything else happens: what was said was true when the process died. */
const say = (line: string) => writeSync(1, `${line}\n`)
const toBytes = (text: string) => new TextEncoder().encode(text)

const database = await openEmbeddedDatabase({ dataDir })
const log = await embeddedLog({ database, partitionCount: 1, clock: systemClock })
say('open')
await new Promise((resolve) => process.stdin.once('data', resolve))

async function append(who: number): Promise<void> {
  for (let n = 0; ; n++) {
    const values = Array.from({ length: 1 + ((n * 7 + who) % 20) }, (_, index) => `${round}/${who}/${n}/${index}`)
    say('append begins')
    await log.append(values.map((value) => ({ key: 'tenant', value: toBytes(value.padEnd(300, ' ')) })))
    say(`appended ${values.join(' ')}`)
  }
}

async function own(): Promise<void> {
  const tenure = await log.acquire(0)
  for (;;) {
    const requests = await log.readIntake(0, tenure.committed.intakeOffset, { recordsMax: requestsMax, waitMs: 1_000 })
    let seq = tenure.committed.seq
    const facts = requests.flatMap(({ offset }): FactRecord[] => [
      { stream: 'jobs', key: 'tenant', value: toBytes(`${offset} first`), seq: ++seq },
      { stream: 'billing', key: 'tenant', value: toBytes(`${offset} second`), seq: ++seq },
    ])
    say('commit begins')
    await tenure.commit(facts, tenure.committed.intakeOffset + BigInt(requests.length))
    say(`committed ${tenure.committed.seq} ${tenure.committed.intakeOffset}`)
  }
}

await Promise.all([own(), ...Array.from({ length: appendersAtOnce }, (_, who) => append(who))])
