import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, expect, test } from 'vitest'
import { lockDataDir, lockHolder } from './data-dir-lock.ts'

const made: string[] = []
afterAll(() => Promise.all(made.map((dir) => rm(dir, { recursive: true, force: true }))))

async function freshDir(): Promise<string> {
  const dir = await mkdtemp(join(tmpdir(), 'pf3-lock-'))
  made.push(dir)
  return dir
}

test('the lock is exclusive until it is given back', async () => {
  const dir = await freshDir()
  const unlock = await lockDataDir(dir)
  await expect(lockDataDir(dir)).rejects.toMatchObject({ code: 'DATA_DIR_LOCKED', facts: { pid: process.pid } })
  expect(await lockHolder(dir)).toMatchObject({ pid: process.pid })
  await unlock()
  expect(await lockHolder(dir)).toBeUndefined()
  await (await lockDataDir(dir))()
  expect((await readdir(dir)).length).toBe(1)
})

test('the lock of a dead process, or of another process that had our id, is taken over', async () => {
  const dead = spawn(process.execPath, ['-e', ''])
  await once(dead, 'exit')
  for (const text of [`${dead.pid} `, `${dead.pid} another-boot:1`, `${process.pid} another-boot:1`]) {
    const dir = await freshDir()
    await writeFile(join(dir, 'lock.41'), text)
    const unlock = await lockDataDir(dir)
    expect(await readdir(dir)).toEqual(['lock.42'])
    await unlock()
  }
})

test("of many processes that want a dead one's lock at once exactly one gets it", async () => {
  const dir = await freshDir()
  await writeFile(join(dir, 'lock.7'), '999999999 ')
  const program = `
    const { lockDataDir } = await import(${JSON.stringify(new URL('./data-dir-lock.ts', import.meta.url).href)})
    console.log(await lockDataDir(${JSON.stringify(dir)}).then(() => 'mine', (error) => error.code))
    setTimeout(() => undefined, 60_000)`
  const children = Array.from({ length: 6 }, () => spawn(process.execPath, ['--input-type=module', '-e', program]))
  const said = await Promise.all(children.map(async (child) => String((await once(child.stdout, 'data'))[0]).trim()))
  for (const child of children) child.kill('SIGKILL')
  expect(said.sort()).toEqual([
    'DATA_DIR_LOCKED',
    'DATA_DIR_LOCKED',
    'DATA_DIR_LOCKED',
    'DATA_DIR_LOCKED',
    'DATA_DIR_LOCKED',
    'mine',
  ])
}, 60_000)

test('of many takers in one process, over many generations, never two hold the lock', async () => {
  const dir = await freshDir()
  let holders = 0
  let taken = 0
  const taker = async () => {
    for (let round = 0; round < 40; round++) {
      const unlock = await lockDataDir(dir).catch(() => undefined)
      if (!unlock) continue
      expect(++holders).toBe(1)
      taken++
      await new Promise(setImmediate)
      holders--
      await unlock()
    }
  }
  await Promise.all(Array.from({ length: 8 }, taker))
  expect(taken).toBeGreaterThan(0)
})
