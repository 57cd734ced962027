/**
 * Keeps the log of a simulated run as a history: `npm run history -- NAME`, once for every release. A history that was
 * kept is never made anew: that it still comes to the same is what it is for.
 */
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { testCodec } from '../../processors/testing/world.ts'
import type { EventName } from '../../schemas/codec.ts'
import type { Fact } from '../../schemas/events.generated.ts'
import { eventNames, readOwnSchemas } from '../../schemas/own-schemas.ts'
import { shutOutRealWorld } from '../simulation/real-world.ts'
import { simulate } from '../simulation/simulate.ts'
import { type History, lackingIn, outcomeOf, writeHistory } from './history.ts'

const jobs = 150
const seedsMax = 200

const [name] = process.argv.slice(2)
if (!name || !/^[\w.-]{1,50}$/.test(name)) throw new Error('Say the name of the release: npm run history -- 0.1.0')
const path = join(import.meta.dirname, 'recorded', `${name}.json.gz`)
if (existsSync(path)) throw new Error(`There is a history ${name}.`)

shutOutRealWorld()
const { records, facts } = await runWithEverything()
// As the codec of the simulator numbers them.
const idOf = (event: EventName): number => eventNames.indexOf(event) + 1
const own = readOwnSchemas()
const used = new Set(records.flat().map((record) => Buffer.from(record).readUInt32BE(1)))
const schemas = Object.fromEntries(
  eventNames.flatMap((event) => {
    const schema = own.get(event) ?? ''
    const id = idOf(event)
    return used.has(id) ? [[id, { name: event, schema }]] : []
  }),
)
const partitions = records.map((some) => some.map((record) => Buffer.from(record).toString('base64')))
const history: History = { madeBy: name, schemas, partitions, outcome: outcomeOf(facts) }
writeHistory(path, history)
process.stdout.write(`${path}: ${facts.flat().length} facts\n`)
process.exit(0)

/** The first run in which everything happened that a history is to have. */
async function runWithEverything(): Promise<{ records: Uint8Array[][]; facts: Fact[][] }> {
  for (let seed = 1; seed <= seedsMax; seed++) {
    let records: Uint8Array[][] = []
    const { violations } = await simulate(seed, { jobs, onLog: (committed) => (records = committed) })
    if (violations.length > 0) throw new Error(violations.join('\n'))
    const facts = records.map((some) => some.map((record) => testCodec.decode(record) as Fact))
    if (lackingIn(facts.flat()).length === 0) return { records, facts }
  }
  throw new Error(`None of ${seedsMax} runs has everything.`)
}
