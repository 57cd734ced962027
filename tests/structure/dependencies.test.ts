import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'

const root = join(import.meta.dirname, '../..')
const json = (path: string) => JSON.parse(readFileSync(join(root, path), 'utf8'))
const { dependencies, devDependencies } = json('package.json') as Record<string, Record<string, string>>
const page = readFileSync(join(root, 'docs/dependencies.md'), 'utf8')

/** Rows of the table below a heading: package, licence, what for. */
function rowsBelow(heading: string): string[][] {
  const section = page.split(`## ${heading}\n`)[1]?.split('\n## ')[0] ?? ''
  const lines = section.split('\n').filter((line) => line.startsWith('| `'))
  return lines.map((line) =>
    line
      .split('|')
      .slice(1, -1)
      .map((cell) => cell.trim().replaceAll('`', '')),
  )
}
const [toRun, toDevelop] = [rowsBelow('To run'), rowsBelow('To develop')]

test('the page names every package asked for, and no other', () => {
  expect(toRun.map(([name]) => name)).toEqual(Object.keys(dependencies ?? {}).sort())
  expect(toDevelop.map(([name]) => name)).toEqual(Object.keys(devDependencies ?? {}).sort())
})

/** From the field; a package that lacks it says so in the first line of its LICENSE, as "MIT License". */
const licenceOf = (name: string): string | undefined =>
  json(`node_modules/${name}/package.json`).license ??
  /^(\S+) License$/m.exec(readFileSync(join(root, `node_modules/${name}/LICENSE`), 'utf8').split('\n')[0] ?? '')?.[1]

test.for([...toRun, ...toDevelop])('%s is under %s, and the page says what for', ([name = '', licence, why = '']) => {
  expect(licenceOf(name)).toBe(licence)
  expect(why.length).toBeGreaterThan(10)
})

type Locked = { optionalDependencies?: Record<string, string>; resolved?: string; integrity?: string; link?: boolean }
const packages = json('package-lock.json').packages as Record<string, Locked>

/** A lock file that lacks another platform's packages installs here and is refused there. */
test('the lock file holds the packages of every platform', () => {
  const missing = Object.entries(packages).flatMap(([path, { optionalDependencies = {} }]) =>
    Object.keys(optionalDependencies).filter(
      (name) => !packages[`${path}/node_modules/${name}`] && !packages[`node_modules/${name}`],
    ),
  )
  expect(missing).toEqual([])
})

test('the lock file pins content and names no place to fetch it from', () => {
  for (const [path, { resolved, integrity, link }] of Object.entries(packages)) {
    if (path === '' || link) continue
    expect(resolved, path).toBeUndefined()
    expect(integrity, path).toMatch(/^sha\d+-/)
  }
})

test('Node is pinned: the one in node_modules runs this', () => {
  expect(existsSync(join(root, 'node_modules/.bin/node'))).toBe(true)
  expect(`v${json('node_modules/node/package.json').version}`).toBe(process.version)
  expect(process.versions.node.split('.')[0]).toBe('24')
})
