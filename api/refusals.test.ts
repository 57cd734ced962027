/** The tables of reasons: shown whole in the documentation, and told in answers. */
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { jobRefusalMeans, jobRefusals, levelsBelow, requestRefusal, requestRefusals } from './refusals.ts'
import { openTenant, type Service, startService } from './testing/service.ts'

const page = join(import.meta.dirname, '../docs/reference/errors.md')

let service: Service
let tenant: Awaited<ReturnType<typeof openTenant>>
beforeAll(async () => {
  service = await startService()
  tenant = await openTenant(service, 'harbor')
})
afterAll(() => service.stop())

function requestTable(): string {
  const rows = Object.entries(requestRefusals).map(
    ([reason, { where, problem, expected, remedy }]) =>
      `| \`${reason}\` | \`${where}\` | ${problem} | ${expected} | ${remedy} |`,
  )
  return `| reason | where | what is wrong | what is expected | what to do |\n| --- | --- | --- | --- | --- |\n${rows.join('\n')}\n`
}

function jobTable(): string {
  const rows = Object.entries(jobRefusals).map(([reason, means]) => `| \`${reason}\` | ${means} |`)
  return `| reason | means |\n| --- | --- |\n${rows.join('\n')}\n`
}

test('the documented reasons are those of the code (UPDATE_DOCS=1 writes them)', () => {
  const text = readFileSync(page, 'utf8')
  const withTable = (all: string, mark: string, table: string) =>
    all.replace(new RegExp(`(<!-- ${mark} -->\\n)(?:\\|.*\\n)*`), (_, start: string) => start + table)
  const wanted = withTable(withTable(text, 'request refusals', requestTable()), 'job refusals', jobTable())
  if (process.env.UPDATE_DOCS === '1') writeFileSync(page, wanted)
  else expect(text).toBe(wanted)
  expect(wanted).toContain(requestTable())
  expect(wanted).toContain(jobTable())
})

test('a request that is refused is told what is wrong, what is expected and what to do', async () => {
  const below = { level: 'partner', name: 'x', currency: 'USD', timeZone: 'UTC' }
  const level = (await tenant.admin.post('/v1/tenants', below)).problem(409, 'REQUEST_REFUSED')
  expect(level).toMatchObject({ reason: 'level_invalid', errors: [requestRefusals.level_invalid] })
  expect(level.detail).toBe(`The request was refused: level_invalid. ${requestRefusals.level_invalid.problem}`)
  const cap = (await tenant.admin.delete('/v1/tenants/harbor/caps/none')).problem(404, 'NOT_FOUND')
  expect(cap).toMatchObject({ reason: 'cap_unknown', errors: [requestRefusals.cap_unknown] })
})

test('a job that is refused says what its reason means, and that it has no result because of it', async () => {
  const job = { capability: 'classify.category', input: { text: 'x' }, params: { labelSetId: 'none' } }
  const refused = (await tenant.submitter.post('/v1/jobs?wait=30', job)).expect(200)
  expect(refused).toMatchObject({
    status: 'refused',
    refusal: { reason: 'resource_unknown', means: jobRefusals.resource_unknown },
  })
  const result = (await tenant.reader.get(`/v1/jobs/${refused['id']}/result`)).problem(404, 'NOT_FOUND')
  expect(result.detail).toBe('The job has no result: it was refused.')
})

test('a reason of a newer version is told as one that is not known', () => {
  expect(requestRefusal('of_tomorrow')).toBe(requestRefusals.unknown)
  expect(jobRefusalMeans('constructor')).toBe(jobRefusals.unknown)
})

test('which level may stand below which is as documented', async () => {
  const open = (id: string, level: string, parentId: string) =>
    service.root.post('/v1/tenants', { id, level, parentId, name: 'x', currency: 'USD', timeZone: 'UTC' })
  ;(await open('of-partner', 'partner', 'platform')).expect(201)
  ;(await open('of-client', 'client', 'of-partner')).expect(201)
  ;(await open('of-merchant', 'merchant', 'of-client')).expect(201)
  const levels = ['partner', 'client', 'merchant']
  for (const [above, below] of Object.entries(levelsBelow)) {
    const parentId = above === 'platform' ? above : `of-${above}`
    for (const level of levels) {
      const isAllowed = below.some((one) => one === level)
      const { status } = await open(`${above}-${level}`, level, parentId)
      expect([above, level, status]).toEqual([above, level, isAllowed ? 201 : 409])
    }
  }
})
