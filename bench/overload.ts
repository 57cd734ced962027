/**
 * `npm run bench:overload`: a minute of five times as many jobs as the service takes, from outside over HTTP.
 *
 *     node bench/overload.ts [--seconds 60] [--times 5]
 *
 * First measures how many it takes a second, then floods a fresh one. Ends with 1 unless every accepted job ended, every
 * other submission was told to come again, and memory stayed within its bound.
 */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { quantile } from '../bin/demo/fairness.ts'
import { withFloodedService } from '../tests/overload/flooded-service.ts'

const { values } = parseArgs({
  options: { seconds: { type: 'string', default: '60' }, times: { type: 'string', default: '5' } },
})
const seconds = Number(values.seconds)
const times = Number(values.times)
if (!(seconds >= 1 && seconds <= 3_600 && times >= 1 && times <= 100)) {
  process.stderr.write('--seconds from 1 to 3600 and --times from 1 to 100 were expected\n')
  process.exit(2)
}
const rssBytesMax = 2 * 1024 ** 3
const probePerS = 2_000
const probeMs = 10_000

const probe = await run(probePerS, probeMs)
const capacity = probe.found.accepted.length / (probeMs / 1_000)
process.stdout.write(`takes ${capacity.toFixed(0)} jobs a second when asked for ${probePerS}\n`)
const { found, states, rssMaxBytes } = await run(Math.ceil(capacity * times), seconds * 1_000)
const others = [...found.others].map(([what, count]) => `${what}: ${count}`).join(', ') || 'none'
const ascending = found.answeredMs.toSorted((a, b) => a - b)
const ms = (share: number) => quantile(ascending, share).toFixed(0)
process.stdout.write(
  `${found.sent} sent in ${seconds} s; ${found.accepted.length} accepted, ${found.refused} told to come again, others ${others}
accepted jobs in the end: ${JSON.stringify(states)}
answered after ${ms(0.5)} ms (median), ${ms(0.99)} ms (99 %), ${ms(1)} ms at most
resident memory at most ${Math.round(rssMaxBytes / 1024 ** 2)} MiB\n`,
)
const isSound =
  found.others.size === 0 &&
  found.accepted.length > 0 &&
  states['succeeded'] === found.accepted.length &&
  rssMaxBytes < rssBytesMax
process.exitCode = isSound ? 0 : 1

async function run(perS: number, forMs: number) {
  const dataDir = await mkdtemp(join(tmpdir(), 'pf3-overload-'))
  try {
    return await withFloodedService({ dataDir, perS, forMs })
  } finally {
    await rm(dataDir, { recursive: true })
  }
}
