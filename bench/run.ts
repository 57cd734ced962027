/**
 * `npm run bench -- NAME`: measures one thing, beside what it is compared with, in the same run.
 *
 *     node bench/run.ts [embedded|pipeline|latency|submit|replay|restart|restart-large|rebalance|scale|fair|admission|core|codec|crypto|rating|units|soak] [--rounds 5] [--brokers 1]
 *
 * Writes every sample to bench/results/, and the table into docs/benchmarks.md.
 */
import { parseArgs } from 'node:util'
import { admission, core } from './core.ts'
import { embedded } from './embedded.ts'
import { fair } from './fair.ts'
import { latency } from './latency.ts'
import { installSystem, type SystemPart } from './peers.ts'
import { pipeline } from './pipeline.ts'
import { codec, crypto, rating } from './pure-parts.ts'
import { rebalance } from './rebalance.ts'
import { replay } from './replay.ts'
import { type Bench, publish } from './report.ts'
import { restart } from './restart.ts'
import { restartLarge } from './restart-large.ts'
import { scale } from './scale.ts'
import { soak } from './soak.ts'
import { submit } from './submit.ts'
import { units } from './units.ts'

const benches: Readonly<Record<string, Bench>> = {
  embedded,
  pipeline,
  latency,
  submit,
  replay,
  restart,
  'restart-large': restartLarge,
  rebalance,
  scale,
  fair,
  admission,
  core,
  codec,
  crypto,
  rating,
  units,
  soak,
}

/** What a benchmark needs of the system besides Node; those that are not here need a whole stack. */
const needs = new Map<Bench, readonly SystemPart[]>([
  ...[admission, core, codec, crypto, rating].map((bench): [Bench, readonly SystemPart[]] => [bench, []]),
  [fair, ['redis']],
  [embedded, ['redis', 'postgres']],
])

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { rounds: { type: 'string', default: '5' }, brokers: { type: 'string', default: '1' } },
})
const [name = 'embedded'] = positionals
const bench = benches[name]
const rounds = Number(values.rounds)
const brokerCount = Number(values.brokers)
if (!bench || !Number.isInteger(rounds) || rounds < 1 || (brokerCount !== 1 && brokerCount !== 3)) {
  process.stderr.write(
    `one of ${Object.keys(benches).join(', ')}, --rounds of at least 1 and --brokers 1 or 3 were expected\n`,
  )
  process.exit(2)
}
installSystem(needs.get(bench) ?? ['java', 'redis', 'postgres'])
const section = brokerCount === 1 ? name : `${name}-${brokerCount}`
process.stdout.write(`${await publish(section, bench, { rounds, brokerCount })}\n`)
