/**
 *     npm run stack                 one broker
 *     npm run stack -- --brokers 3  three, replication 3, two of them in sync
 *
 * Prints where everything is, and ends everything on Ctrl-C.
 */
import { parseArgs } from 'node:util'
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
for (const [name, value] of Object.entries(stack.environment)) process.stdout.write(`export ${name}='${value}'\n`)
const waiting = setInterval(() => {}, 60_000)
for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  process.once(signal, () => {
    clearInterval(waiting)
    void stack.stop()
  })
}
