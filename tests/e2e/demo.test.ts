import { spawn } from 'node:child_process'
import { expect, test } from 'vitest'
import { cleanEnv, pf3Path } from '../../bin/demo/service-process.ts'

const small = ['demo', '--mails', '100', '--json']

test('the story on a hundred mails holds in every check, and a planted wrong price and a lost event each end it with 1', async () => {
  const clean = await pf3([...small])
  expect(clean).toMatchObject({ code: 0, printed: { isTrue: true, problems: [] } })
  for (const plant of ['wrong-price', 'lost-event']) {
    const spoilt = await pf3([...small, '--plant', plant])
    expect(spoilt).toMatchObject({ code: 1, printed: { isTrue: false } })
    expect(spoilt.printed?.problems.length).toBeGreaterThan(0)
  }
}, 600_000)

test('a fault that nobody knows is refused before anything starts', async () => {
  const { code, problems } = await pf3(['demo', '--plant', 'nonsense', '--mails', 'few'])
  expect(code).toBe(2)
  expect(problems).toContain('--plant: one of wrong-price')
  expect(problems).toContain('--mails: a whole number of at least 100')
})

type Printed = { isTrue: boolean; problems: object[]; checks: object[] }

function pf3(
  args: readonly string[],
): Promise<{ code: number | null; printed: Printed | undefined; problems: string }> {
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, [pf3Path, ...args], { env: cleanEnv({}), stdio: ['ignore', 'pipe', 'pipe'] })
    const out: Buffer[] = []
    const problems: Buffer[] = []
    child.stdout.on('data', (chunk: Buffer) => out.push(chunk))
    child.stderr.on('data', (chunk: Buffer) => problems.push(chunk))
    child.once('error', reject)
    child.once('close', (code) => {
      const text = Buffer.concat(out).toString('utf8')
      resolve({
        code,
        printed: text === '' ? undefined : (JSON.parse(text) as Printed),
        problems: Buffer.concat(problems).toString('utf8'),
      })
    })
  })
}
