/** Simulates seeds it is given, one after another, and reports each as a line of JSON. `node worker.ts FROM COUNT JOBS STEP` */
import { shutOutRealWorld } from './real-world.ts'
import { simulate } from './simulate.ts'

const [from = 1, count = 1, jobs = 300, step = 1] = process.argv.slice(2).map(Number)
shutOutRealWorld()
for (let index = 0; index < count; index++) {
  const run = await simulate(from + index * step, { jobs })
  process.stdout.write(`${JSON.stringify(run)}\n`)
}
process.exit(0)
