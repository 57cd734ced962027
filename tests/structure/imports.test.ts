import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { afterAll, expect, test } from 'vitest'
import { ruleSet } from './import-rules.ts'
import { type Breach, importBreaches } from './imports.ts'

const root = join(import.meta.dirname, '../..')
const made: string[] = []
afterAll(() => {
  for (const directory of made) rmSync(directory, { recursive: true })
})

/** Checks a small repository of these files; what they import and nobody wrote exists as an empty module. */
async function breachesOf(files: Readonly<Record<string, string>>): Promise<Breach[]> {
  const directory = mkdtempSync(join(tmpdir(), 'imports-'))
  made.push(directory)
  symlinkSync(join(root, 'node_modules'), join(directory, 'node_modules'))
  writeFileSync(
    join(directory, 'package.json'),
    JSON.stringify({ type: 'module', dependencies: { pg: '*' }, devDependencies: { vitest: '*' } }),
  )
  for (const [path, text] of Object.entries(files)) {
    mkdirSync(join(directory, dirname(path)), { recursive: true })
    writeFileSync(join(directory, path), text)
  }
  return importBreaches(directory)
}

const x = 'export const x = 1\n'
const use = (path: string): string => `import { x } from '${path}'\nexport const y = x\n`
const useType = (path: string): string => `import type { x } from '${path}'\nexport type Y = typeof x\n`

/** One small repository per rule that breaks it. */
const broken: readonly { rule: string; why: string; files: Record<string, string> }[] = [
  {
    rule: 'schemas-imports-only-its-rooms',
    why: 'schemas import nothing',
    files: { 'schemas/a.ts': use('../platform/b.ts'), 'platform/b.ts': x },
  },
  {
    rule: 'pricing-imports-only-its-rooms',
    why: 'pricing knows schemas only',
    files: { 'pricing/a.ts': useType('../capabilities/b.ts'), 'capabilities/b.ts': x },
  },
  {
    rule: 'platform-imports-only-its-rooms',
    why: 'the machine knows no prices',
    files: { 'platform/a.ts': use('../pricing/b.ts'), 'pricing/b.ts': x },
  },
  {
    rule: 'producers-imports-only-its-rooms',
    why: 'a door decides nothing',
    files: { 'producers/a.ts': use('../processors/b.ts'), 'processors/b.ts': x },
  },
  {
    rule: 'processors-imports-only-its-rooms',
    why: 'a decision must not read a lagging view',
    files: { 'processors/owner.ts': useType('../projections/jobs/queries.ts'), 'projections/jobs/queries.ts': x },
  },
  {
    rule: 'projections-imports-only-its-rooms',
    why: 'a view asks for nothing',
    files: { 'projections/a.ts': use('../producers/b.ts'), 'producers/b.ts': x },
  },
  {
    rule: 'capabilities-imports-only-its-rooms',
    why: 'a contract does not know who fulfils it',
    files: { 'capabilities/a.ts': use('../providers/b.ts'), 'providers/b.ts': x },
  },
  {
    rule: 'providers-imports-only-its-rooms',
    why: 'a vendor knows no prices',
    files: { 'providers/a.ts': use('../pricing/b.ts'), 'pricing/b.ts': x },
  },
  {
    rule: 'api-imports-only-its-rooms',
    why: 'HTTP calls no processor',
    files: { 'api/a.ts': use('../processors/b.ts'), 'processors/b.ts': x },
  },
  {
    rule: 'only-execution-knows-capabilities',
    why: 'admission does not know what a job asks for',
    files: { 'processors/admission/a.ts': useType('../../capabilities/b.ts'), 'capabilities/b.ts': x },
  },
  {
    rule: 'pure-rules-know-capabilities-by-type',
    why: 'a rule runs no capability',
    files: {
      'processors/execution/decide.ts': use('../../capabilities/capability.ts'),
      'capabilities/capability.ts': x,
    },
  },
  {
    rule: 'pure-rules-and-pricing-reach-no-machine',
    why: 'a clock behind a helper is still a clock',
    files: {
      'processors/admission/decide.ts': use('./periods.ts'),
      'processors/admission/periods.ts': use('../../platform/clock.ts'),
      'platform/clock.ts': x,
    },
  },
  {
    rule: 'pure-rules-and-pricing-import-no-machine',
    why: 'a rule reads no file',
    files: {
      'processors/admission/state.ts': "import { readFileSync } from 'node:fs'\nexport const y = readFileSync\n",
    },
  },
  {
    rule: 'pure-helpers-import-no-machine',
    why: 'nor does what rules share',
    files: { 'processors/execution/fifo.ts': "import { hrtime } from 'node:process'\nexport const y = hrtime\n" },
  },
  {
    rule: 'api-reads-views-through-queries',
    why: 'HTTP does not see how a view is made',
    files: { 'api/a.ts': use('../projections/jobs/projection.ts'), 'projections/jobs/projection.ts': x },
  },
  {
    rule: 'api-touches-no-log-and-no-table',
    why: 'HTTP does not append',
    files: { 'api/a.ts': useType('../platform/log/log.ts'), 'platform/log/log.ts': x },
  },
  {
    rule: 'api-touches-no-log-and-no-table',
    why: 'HTTP does not speak SQL',
    files: { 'api/a.ts': "import pg from 'pg'\nexport const y = pg\n" },
  },
  {
    rule: 'verifier-shares-no-code',
    why: 'a proof that uses what it proves is none',
    files: { 'bin/demo/verify.ts': use('../../schemas/units.ts'), 'schemas/units.ts': x },
  },
  {
    rule: 'verifier-shares-no-code',
    why: 'a part of the proof neither',
    files: { 'bin/demo/verify/caps.ts': useType('../../../pricing/rate.ts'), 'pricing/rate.ts': x },
  },
  {
    rule: 'samples-share-no-code',
    why: 'who copies a sample has no product to import',
    files: { 'samples/reader/read.ts': useType('../../schemas/units.ts'), 'schemas/units.ts': x },
  },
  {
    rule: 'no-cycles',
    why: 'two files need each other',
    files: {
      'platform/a.ts': `${use('./b.ts')}export const x = 1\n`,
      'platform/b.ts': `${use('./a.ts')}export const x = 1\n`,
    },
  },
  {
    rule: 'product-imports-no-test-code',
    why: 'the product stands without its tests',
    files: { 'processors/a.ts': use('./testing/given.ts'), 'processors/testing/given.ts': x },
  },
  {
    rule: 'product-imports-no-development-packages',
    why: 'vitest is not there in production',
    files: { 'platform/a.ts': "import { expect } from 'vitest'\nexport const y = expect\n" },
  },
  {
    rule: 'packages-are-declared',
    why: 'avsc is not in this package.json',
    files: { 'schemas/a.ts': "import avro from 'avsc'\nexport const y = avro\n" },
  },
  { rule: 'imports-resolve', why: 'the file is not there', files: { 'schemas/a.ts': use('./nowhere.ts') } },
]

test.for(broken)('$rule: $why', async ({ rule, files }) => {
  expect((await breachesOf(files)).map((breach) => breach.rule)).toContain(rule)
})

test('every rule is broken once above', () => {
  const tried = new Set(broken.map(({ rule }) => rule))
  expect(ruleSet.forbidden?.map(({ name }) => name).filter((name) => !tried.has(name ?? ''))).toEqual([])
})

test('what the table allows passes', async () => {
  expect(
    await breachesOf({
      'schemas/events.generated.ts': x,
      'pricing/index.ts': use('../schemas/events.generated.ts'),
      'platform/postgres/database.ts': x,
      'capabilities/capability.ts': x,
      'producers/a.ts': use('../platform/postgres/database.ts'),
      'processors/execution/state.ts': use('../../schemas/events.generated.ts'),
      'processors/execution/decide.ts': useType('../../capabilities/capability.ts'),
      'processors/execution/run-attempt.ts': use('../../capabilities/capability.ts'),
      'processors/owner.ts': use('../platform/postgres/database.ts'),
      'projections/jobs/queries.ts': use('../../platform/postgres/database.ts'),
      'api/server.ts': useType('../platform/postgres/database.ts'),
      'api/jobs/routes.ts': useType('../../projections/jobs/queries.ts'),
      'bin/demo/verify.ts': use('./verify/caps.ts'),
      'bin/demo/verify/caps.ts': x,
      'platform/a.test.ts': "import { expect } from 'vitest'\nexport const y = expect\n",
    }),
  ).toEqual([])
})

test('this repository follows the table', async () => {
  expect(await importBreaches(root)).toEqual([])
})
