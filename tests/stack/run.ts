/**
 *     npm run stack                 one broker
 *     npm run stack -- --brokers 3  three, replication 3, two of them in sync
 *
 * Prints where everything is, for a shell to source that starts a service, and in a comment the command by which tests
 * run on it; into a file with `npm run --silent`, or npm's own words are sourced too. Ends everything on Ctrl-C.
 */
import { parseArgs } from 'node:util'
import { forTests } from './environment.ts'
import { startStack } from './start-stack.ts'

const { values } = parseArgs({ options: { brokers: { type: 'string', default: '1' } } })
if (values.brokers !== '1' && values.brokers !== '3') {
  process.stderr.write(`--brokers: 1 or 3 was expected, not ${values.brokers}.\n`)
  process.exit(2)
}
const stack = await startStack({
  brokerCount: values.brokers === '3' ? 3 : 1,
  onUp: (what, afterMs) => void process.stderr.write(`${(afterMs / 1_000).toFixed(1)} s: ${what}\n`),
})
process.stderr.write(`Logs in ${stack.dir}. Ctrl-C ends it.\n`)
const assignment = ([name, value]: readonly [string, string]): string => `${name}='${value}'`
for (const one of Object.entries(stack.environment)) process.stdout.write(`export ${assignment(one)}\n`)
// Not exported: a service refuses options that it does not know.
process.stdout.write(`# Tests: ${forTests(stack.environment).map(assignment).join(' ')} npm run test:kafka\n`)
const waiting = setInterval(() => {}, 60_000)
for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  process.once(signal, () => {
    clearInterval(waiting)
    void stack.stop()
  })
}
