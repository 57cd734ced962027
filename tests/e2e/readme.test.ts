/** Does what the README tells its reader to do, line by line, and looks at what comes back. */
import { execFile } from 'node:child_process'
import { chmodSync, existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { delimiter, dirname, join } from 'node:path'
import { promisify } from 'node:util'
import { expect, test } from 'vitest'
import { cleanEnv, pf3Path } from '../../bin/demo/service-process.ts'
import { type Stage, stage } from './stage.ts'

const root = join(import.meta.dirname, '../..')
const readme = readFileSync(join(root, 'README.md'), 'utf8')
const run = promisify(execFile)
const tailMs = 5_000

test('the first job of the README goes as it says, and its commands do what they promise', async () => {
  const scene = await stage({ connectionsMax: 4 })
  const script = /```bash\n([\s\S]*?)```/.exec(readme)?.[1] ?? ''
  const { stdout } = await run('bash', ['-euo', 'pipefail', '-c', script], {
    env: {
      ...cleanEnv({}),
      URL: scene.service().url,
      ROOT: scene.rootToken,
      PATH: [curlDir(scene), dirname(process.execPath), process.env.PATH].join(delimiter),
    },
  })
  const printed = stdout.trim().split('\n')
  expect(printed.slice(-4, -1)).toEqual(['succeeded', 'succeeded', 'refused'])
  expect(Number(printed.at(-1))).toBeGreaterThan(0)

  const commands = [...readme.matchAll(/^npm run pf3 -- (.*?) +#/gm)].map(([, line = '']) =>
    line.replace('"$(date -u +%Y-%m)"', new Date().toISOString().slice(0, 7)),
  )
  expect(commands.map((line) => line.split(' ').slice(0, 2).join(' '))).toEqual([
    'events tail',
    'events export',
    'replay --tenant',
    'projections rebuild',
  ])
  for (const line of commands) {
    const args = line.replace('--to export', `--to ${join(scene.dataDir, 'export')}`).split(' ')
    // The one that goes on until it is stopped.
    const stopped = args[1] === 'tail' && { timeout: tailMs, killSignal: 'SIGTERM' as const }
    const { stdout: output } = await run(process.execPath, [pf3Path, ...args], {
      env: cleanEnv({ PF3_DATA_DIR: scene.dataDir }),
      ...stopped,
    }).catch(outputOfStopped)
    if (args[1] === 'tail') expect(output).toContain('JobRefused corner-shop')
    if (args[0] === 'replay') expect(output).toContain('No differences.')
    if (args[0] === 'projections')
      expect(output.match(/equal to the view before/g)).toHaveLength(output.trim().split('\n').length)
  }
  expect(readdirSync(join(scene.dataDir, 'export'))).toContain('manifest.json')
}, 180_000)

test('every file and page that README and ARCHITECTURE name is there', () => {
  for (const page of ['README.md', 'docs/ARCHITECTURE.md']) {
    const text = readFileSync(join(root, page), 'utf8')
    const links = [...text.matchAll(/\]\((?!https?:)([^)#]+)\)/g)].map(([, path = '']) => join(dirname(page), path))
    const files = [...text.matchAll(/`([a-z][\w/-]*\.ts)`/g)]
      .map(([, path = '']) => path)
      .filter((path) => path.includes('/'))
    expect(links.length + files.length).toBeGreaterThan(0)
    expect([...links, ...files].filter((path) => !existsSync(join(root, path)))).toEqual([])
  }
})

/** What a command had printed when it was told to stop. */
function outputOfStopped(error: unknown): { stdout: string } {
  if (error instanceof Error && 'killed' in error && error.killed === true && 'stdout' in error)
    return { stdout: String(error.stdout) }
  throw error
}

/** Stands in for curl, with the flags that the README uses: these tests need nothing but Node and a shell. */
function curlDir({ dataDir }: Stage): string {
  const dir = join(dataDir, 'bin')
  mkdirSync(dir)
  writeFileSync(
    join(dir, 'curl'),
    `#!/usr/bin/env node
const { parseArgs } = require('node:util')
const { values, positionals } = parseArgs({ allowPositionals: true, options: {
  silent: { type: 'boolean' }, 'show-error': { type: 'boolean' }, 'fail-with-body': { type: 'boolean' },
  header: { type: 'string', multiple: true }, data: { type: 'string' }, request: { type: 'string' },
} })
const headers = (values.header ?? []).map((line) => line.split(/: (.*)/s).slice(0, 2))
fetch(positionals[0], { method: values.request ?? (values.data ? 'POST' : 'GET'), headers, body: values.data }).then(async (answer) => {
  process.stdout.write(await answer.text())
  if (answer.status >= 400) process.exitCode = 22
})
`,
  )
  chmodSync(join(dir, 'curl'), 0o755)
  return dir
}
