import { execFileSync } from 'node:child_process'
import { readdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { renumber, sampleBook } from './testing/sample-events.ts'
import { exported, sampleHistory, verify } from './testing/sample-history.ts'
import { drop, find } from './testing/spoil.ts'
import { verifyExport } from './verify.ts'

test('a right history passes, and the report says what it holds', async () => {
  const report = await verify(sampleHistory(), { books: [sampleBook] })
  expect(report.problems).toEqual([])
  expect(report.tenants).toEqual([
    {
      tenantId: 'acme',
      jobs: { submitted: 10, admitted: 8, refused: 2, succeeded: 4, failed: 1, cancelled: 3, open: 0 },
      refusals: { over_cap: 1, over_max_charge: 1 },
      // By hand from the book: 5,235,850,211 + 810,500,000 + 11,497,000,500 + 13,108,000,607 + 100,150,000.
      ledger: [{ currency: 'USD', jobs: 8, chargedPico: 30_751_501_318n, recordedPico: 30_751_501_318n }],
    },
    {
      tenantId: 'solo',
      jobs: { submitted: 2, admitted: 2, refused: 0, succeeded: 1, failed: 1, cancelled: 0, open: 0 },
      refusals: {},
      ledger: [{ currency: 'USD', jobs: 2, chargedPico: 200_000_000n, recordedPico: 200_000_000n }],
    },
    {
      tenantId: 'zeta',
      jobs: { submitted: 2, admitted: 1, refused: 1, succeeded: 1, failed: 0, cancelled: 0, open: 0 },
      refusals: { over_cap: 1 },
      // 200,000,000 for the request and 31 tokens at 150,000.
      ledger: [{ currency: 'USD', jobs: 1, chargedPico: 204_650_000n, recordedPico: 204_650_000n }],
    },
  ])
})

test('jobs under way are a problem only when nobody said they may be', async () => {
  const facts = sampleHistory()
  for (const type of ['JobFailed', 'JobRated'] as const) drop(facts, type, 'never-started')
  const { problems } = await verify(facts)
  expect(problems.map(({ check, says }) => [check, says])).toEqual([['end', 'the job was admitted but never ended']])
  const { problems: none, tenants } = await verify(facts, { openAllowed: true })
  expect(none).toEqual([])
  expect(tenants[1]?.jobs).toMatchObject({ admitted: 2, succeeded: 1, open: 1 })
})

test('a published book that is none of the given ones is a problem', async () => {
  const dearer = sampleBook.replace('"0.0002"', '"0.0003"')
  const { problems } = await verify(sampleHistory(), { books: [dearer] })
  expect(problems.map(({ check, says }) => [check, says])).toEqual([
    ['directory', expect.stringMatching(/none of the given ones/)],
  ])
})

test('a given book need not be written as it was published', async () => {
  const reordered = JSON.stringify(Object.fromEntries(Object.entries(JSON.parse(sampleBook)).reverse()), null, 2)
  expect((await verify(sampleHistory(), { books: [dearerThan(), reordered] })).problems).toEqual([])
})

const dearerThan = () => sampleBook.replace('"0.0002"', '"0.0003"')

test('a tenant in two partitions is a problem', async () => {
  const facts = sampleHistory()
  const moved = facts.filter(({ fact }) => fact.tenantId === 'zeta')
  for (const placed of moved) placed.partition = 0
  facts.sort((a, b) => Number(a.fact.occurredAt - b.fact.occurredAt))
  const split = facts.find(({ fact }) => fact.tenantId === 'zeta' && fact.type === 'JobRefused')
  if (split) split.partition = 1
  renumber(facts)
  expect((await verify(facts)).problems).toContainEqual(
    expect.objectContaining({ check: 'end', says: expect.stringMatching(/never submitted/) }),
  )
})

test('files that are not what the manifest says', async () => {
  const dir = await exported(sampleHistory())
  const path = join(dir, 'manifest.json')
  const manifest = JSON.parse(await readFile(path, 'utf8'))
  const rated = manifest.files.find((file: { event: string }) => file.event === 'JobRated')
  rated.records += 1
  manifest.files.find((file: { event: string }) => file.event === 'HoldExceeded').event = 'CapRemoved'
  await writeFile(path, JSON.stringify(manifest))
  const { problems } = await verifyExport(dir)
  const says = problems.filter(({ check }) => check === 'export').map((problem) => problem.says)
  expect(says).toEqual([
    'usage-1/HoldExceeded.avro holds HoldExceeded, not CapRemoved',
    expect.stringMatching(/^billing-\d.JobRated.avro holds \d+ records, the manifest says \d+$/),
  ])
})

test('an empty export is a problem', async () => {
  expect((await verify([])).problems).toEqual([{ check: 'export', says: 'the export is empty' }])
})

test.for([
  ['not JSON', '{'],
  ['no list of files', '{"partitions": 2}'],
  [
    'a file outside of the export',
    '{"partitions": 1, "files": [{"path": "../x", "stream": "jobs", "event": "JobRated", "partition": 0, "records": 1}]}',
  ],
  [
    'a partition there is none of',
    '{"partitions": 1, "files": [{"path": "x", "stream": "jobs", "event": "JobRated", "partition": 1, "records": 1}]}',
  ],
  [
    'a file that is missing',
    '{"partitions": 1, "files": [{"path": "x", "stream": "jobs", "event": "JobRated", "partition": 0, "records": 1}]}',
  ],
])('a manifest with %s cannot be read', async ([, text = '']) => {
  const dir = await exported([])
  await writeFile(join(dir, 'manifest.json'), text)
  await expect(verifyExport(dir)).rejects.toThrow()
})

test('a damaged file cannot be read, and is not taken for an empty one', async () => {
  const dir = await exported(sampleHistory())
  const path = join(dir, 'jobs-1/JobAdmitted.avro')
  const bytes = await readFile(path)
  await writeFile(path, bytes.subarray(0, bytes.length - 40))
  const outcome = await verifyExport(dir).catch(() => undefined)
  expect(outcome?.problems.some(({ check }) => check === 'export') ?? true).toBe(true)
})

test('the command says what is wrong and exits with 0, 1 or 2', async () => {
  const run = (...args: string[]) => {
    try {
      const stdout = execFileSync(process.execPath, [join(import.meta.dirname, 'verify.ts'), ...args], {
        encoding: 'utf8',
        stdio: 'pipe',
      })
      return { status: 0, text: stdout }
    } catch (error) {
      const { status, stdout, stderr } = error as { status: number; stdout: string; stderr: string }
      return { status, text: stdout + stderr }
    }
  }
  const right = await exported(sampleHistory())
  const book = join(right, 'book.json')
  await writeFile(book, sampleBook)
  expect(run(right, book)).toEqual({
    status: 0,
    text: expect.stringMatching(/USD 0\.000204650000\n\d+ events: everything holds\n$/),
  })
  const facts = sampleHistory()
  find(facts, 'JobRated', 'other').chargedPico += 1n
  const wrong = await exported(facts)
  expect(run(wrong)).toEqual({
    status: 1,
    text: expect.stringMatching(/chargedPico is 204650001, should be 204650000/),
  })
  expect(run('--json', wrong).text).toContain('"problemCount": 1')
  expect(run(join(right, 'nowhere'))).toMatchObject({ status: 2 })
  expect(run()).toMatchObject({ status: 2, text: expect.stringMatching(/directory/) })
})

test('the verifier shares nothing with the product', async () => {
  const own = (await readdir(join(import.meta.dirname, 'verify'))).filter((name) => !name.endsWith('.test.ts'))
  const files = [
    join(import.meta.dirname, 'verify.ts'),
    ...own.map((name) => join(import.meta.dirname, 'verify', name)),
  ]
  const imported = new Set<string>()
  for (const file of files) {
    for (const [, from] of (await readFile(file, 'utf8')).matchAll(/(?:from|import\()\s*'([^']+)'/g))
      imported.add(from ?? '')
  }
  const foreign = [...imported].filter(
    (from) => !from.startsWith('node:') && !/^\.\/(verify\/)?[a-z-]+\.ts$/.test(from),
  )
  expect(foreign).toEqual(['avsc'])
})
