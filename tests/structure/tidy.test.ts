import { join } from 'node:path'
import { expect, test } from 'vitest'
import { breachesIn, rules, tidy } from './tidy.ts'

const opening = '/** What it is for. */\n'
const focused = `.on${'ly'}`
const openEnd = `TO${'DO'}`

const broken: readonly [rule: string, path: string, code: string][] = [
  ['time-comes-from-the-clock', 'processors/owner.ts', 'const now = Date.now()'],
  ['time-comes-from-the-clock', 'api/jobs/routes.ts', 'const now = new Date()'],
  ['time-comes-from-the-clock', 'platform/batcher.ts', 'const now = performance.now()'],
  ['time-comes-from-the-clock', 'processors/admission/periods.ts', 'const now = Temporal.Now.instant()'],
  ['chance-comes-from-outside', 'processors/execution/decide.ts', 'const jitter = Math.random()'],
  ['chance-comes-from-outside', 'schemas/ids.ts', "import { randomUUID } from 'node:crypto'"],
  ['timers-come-from-the-clock', 'projections/runner.ts', 'setTimeout(go, 10)'],
  ['configuration-is-read-in-bin', 'platform/log/embedded.ts', 'const url = process.env.URL'],
  ['pure-is-pure', 'processors/admission/decide.ts', 'export async function decide() {}'],
  ['pure-is-pure', 'pricing/rate.ts', "console.error('rated')"],
  ['no-open-ends', 'docs/ARCHITECTURE.md', `${openEnd}: explain`],
  ['no-open-ends', 'bin/pf3.ts', `const x = 1 // ${openEnd}`],
  ['tests-never-skip', 'pricing/rate.test.ts', `test${focused}('one', () => {})`],
  ['tests-never-skip', 'pricing/rate.test.ts', `describe.each([1])${focused}('one', () => {})`],
  ['tests-never-skip', 'pricing/rate.test.ts', `test.run${'If'}(false)('one', () => {})`],
  ['types-are-not-silenced', 'pricing/rate.test.ts', 'const x = y as unknown as string'],
  ['types-are-not-silenced', 'bin/pf3.ts', '// @ts-ignore'],
  ['no-place-of-one-machine', 'docs/HACKING.md', `See /wo${'rk'}/main/README.md`],
  ['no-place-of-one-machine', '.ci/run', `cd /tm${'p'}/x`],
  ['no-place-of-one-machine', '.npmrc', `regi${'stry'}=https://npm.regi${'stry'}.example/`],
  ['names-are-kebab-case', 'pricing/priceBook.ts', opening],
  ['files-say-what-they-are-for', 'pricing/book.ts', 'export const x = 1'],
]

test.for(broken)('%s is seen in %s: %s', ([rule, path, code]) => {
  const text = rule === 'files-say-what-they-are-for' ? code : `${opening}${code}\n`
  expect(breachesIn(path, text).map((breach) => breach.rule)).toEqual([rule])
})

test('every rule is broken once above', () => {
  const tried = new Set(broken.map(([rule]) => rule))
  expect(rules.map(({ name }) => name).filter((name) => !tried.has(name))).toEqual([])
})

test.for<[path: string, code: string]>([
  ['platform/clock.ts', 'const now = Date.now()'],
  ['bin/pf3.ts', 'const url = process.env.URL'],
  ['processors/owner.ts', '// setTimeout would be wrong here'],
  ['processors/owner.ts', ' * Date.now() is banned here.'],
  ['pricing/rate.test.ts', 'const x = Math.random()'],
  ['processors/owner.ts', 'const at = new Date(ms)'],
  ['processors/owner.ts', 'await work()'],
])('nothing is said about %s: %s', ([path, code]) => {
  expect(breachesIn(path, `${opening}${code}\n`)).toEqual([])
})

test('this repository is tidy', () => {
  expect(tidy(join(import.meta.dirname, '../..')).breaches).toEqual([])
})
