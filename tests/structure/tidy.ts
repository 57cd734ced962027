/** Rules of the house that no linter knows. `node tests/structure/tidy.ts` prints every breach and fails on any. */
import { readdirSync, readFileSync } from 'node:fs'
import { join, relative } from 'node:path'

export type Breach = { rule: string; at: string; text: string }

type Rule = {
  name: string
  means: string
  /** Which files it is about, by path from the root. */
  files: RegExp
  except?: RegExp
  /** What a line of code must not hold. Comments count only with `inComments`. */
  banned: RegExp
  inComments?: true
}

const product = /^(schemas|pricing|processors|producers|projections|capabilities|providers|api|platform)\/.*\.ts$/
const pure = /^(pricing\/.*|processors\/[^/]+\/(state|decide|evolve|periods|fair-queue|fifo)|schemas\/[^/]+)\.ts$/
/** Tests, what only tests use, tools, and the provider that exists to be scripted. */
const tests =
  /(\.test\.ts|\/testing\/.*|[a-z-]*contract\.ts|^providers\/scripted\/.*|^schemas\/tools\/.*|^tests\/.*|^bench\/.*)$/
const words = /\.(ts|js|mjs|json|jsonc|md|sql|sh|yml|yaml|toml|avsc|html|css)$|^\.ci\/|^\.(npmrc|gitignore)$/

export const rules: readonly Rule[] = [
  {
    name: 'time-comes-from-the-clock',
    means: 'Take a Clock (platform/clock.ts): a simulation must be able to move time.',
    files: product,
    except: new RegExp(`^platform/clock\\.ts$|${tests.source}`),
    banned: /\bDate\.now\b|\bnew Date\(\s*\)|\bperformance\.now\b|\bprocess\.hrtime\b|\bTemporal\.Now\b/,
  },
  {
    name: 'chance-comes-from-outside',
    means: 'Take a Random (platform/clock.ts): a seed must bring a run back.',
    files: product,
    except: new RegExp(`^platform/clock\\.ts$|^platform/vault/|${tests.source}`),
    banned: /\bMath\.random\b|\brandomUUID\b|\brandomInt\b|\bgetRandomValues\b/,
  },
  {
    name: 'timers-come-from-the-clock',
    means: 'Take a Clock (platform/clock.ts): a simulation must be able to move time.',
    files: product,
    // The embedded database ends a thread that does not answer: nothing a simulation runs.
    except: new RegExp(`^platform/(clock|postgres/embedded)\\.ts$|${tests.source}`),
    banned: /\bset(Timeout|Interval)\b/,
  },
  {
    name: 'configuration-is-read-in-bin',
    means: 'Configuration is read once, in bin/, and passed on.',
    files: product,
    except: tests,
    banned: /\bprocess\.(env|argv)\b/,
  },
  {
    name: 'pure-is-pure',
    means: 'A rule waits for nothing, draws nothing and keeps nothing outside what it is given.',
    files: pure,
    except: new RegExp(`^schemas/(own-schemas|registry-file)\\.ts$|${tests.source}`),
    banned:
      /\b(async|await|Promise|setImmediate|queueMicrotask|globalThis|randomBytes|fetch)\b|\bconsole\.|\bprocess\./,
  },
  {
    name: 'no-open-ends',
    means: 'An open end belongs in an issue.',
    files: words,
    banned: new RegExp(`\\b(${['TO' + 'DO', 'FIX' + 'ME', 'XX' + 'X', 'HA' + 'CK'].join('|')})\\b`),
    inComments: true,
  },
  {
    name: 'tests-never-skip',
    means: 'A test that does not run proves nothing.',
    files: /\.test\.ts$/,
    banned: /\b(test|it|describe|suite|bench)\b.*\.(skip|only|todo|skipIf|runIf|fails)\(|\bskip\(\)|\bskip:\s*true/,
  },
  {
    name: 'types-are-not-silenced',
    means: 'Say what is true instead.',
    files: /\.ts$/,
    except: /^tests\/structure\/tidy/,
    banned: /@ts-(ignore|expect-error|nocheck)|\bas unknown as\b|\bas never\b/,
    inComments: true,
  },
  {
    name: 'no-place-of-one-machine',
    means: 'It has to work on a stranger’s machine: os.tmpdir(), a path from import.meta.dirname, no package mirror.',
    files: words,
    // A PostgreSQL server runs as another user, who may not enter this one's temporary directory.
    except: /^package-lock\.json$|^tests\/postgres\/start-postgres\.ts$/,
    banned: new RegExp(
      `(^|[\\s'"\`(=:])/(wo${'rk'}|tm${'p'}|ro${'ot'}|ho${'me'})/|\\.\\./sha${'red'}/|https?://[^\\s'"\`)]*(regi${'stry'}|artifact${'ory'}|ne${'xus'}|verdac${'cio'})`,
    ),
    inComments: true,
  },
  {
    name: 'names-are-kebab-case',
    means: 'One spelling for all files.',
    files: /\/[^/]*[A-Z_][^/]*\.ts$/,
    banned: /^/,
  },
]

/** A file that is hard to read in one go. Said, not refused. */
const linesMax = 500

/** Breaches in one file. */
export function breachesIn(path: string, text: string): Breach[] {
  const lines = text.split('\n')
  const found: Breach[] = []
  for (const rule of rules) {
    if (!rule.files.test(path) || rule.except?.test(path)) continue
    for (const [index, line] of lines.entries()) {
      if (!rule.banned.test(rule.inComments ? line : codeOf(line))) continue
      found.push({ rule: rule.name, at: `${path}:${index + 1}`, text: line.trim().slice(0, 120) })
      if (rule.name === 'names-are-kebab-case') break
    }
  }
  if (
    /\.ts$/.test(path) &&
    !/(\.test|\.generated|\.d)\.ts$/.test(path) &&
    !/^(#!.*\n)?(\/\*\*|\/\/) ?\S|^\/\*\*\n/.test(text)
  ) {
    found.push({ rule: 'files-say-what-they-are-for', at: `${path}:1`, text: lines[0] ?? '' })
  }
  return found
}

/** The line without what is commented out; whole lines of block comments start with a star here. */
const codeOf = (line: string): string => (/^\s*(\/?\*|\/\/)/.test(line) ? '' : line.replace(/\s\/\/.*$/, ''))

const skipped = new Set(['node_modules', '.git', '.pf3', '.venv', 'coverage', 'results'])

export function* filesBelow(directory: string): Generator<string> {
  for (const entry of readdirSync(directory, { withFileTypes: true })) {
    const path = join(directory, entry.name)
    if (entry.isDirectory() && !skipped.has(entry.name)) yield* filesBelow(path)
    if (entry.isFile()) yield path
  }
}

export function tidy(root: string): { breaches: Breach[]; long: string[] } {
  const breaches: Breach[] = []
  const long: string[] = []
  for (const file of filesBelow(root)) {
    const path = relative(root, file).replaceAll('\\', '/')
    if (!words.test(path)) continue
    const text = readFileSync(file, 'utf8')
    breaches.push(...breachesIn(path, text))
    const lineCount = text.split('\n').length
    if (lineCount > linesMax && /\.ts$/.test(path) && !/\.generated\.ts$/.test(path))
      long.push(`${path}: ${lineCount} lines`)
  }
  return { breaches, long }
}

if (import.meta.main) {
  const { breaches, long } = tidy(join(import.meta.dirname, '../..'))
  for (const file of long) console.warn(`long: ${file}; does it hold more than one thing?`)
  for (const { rule, at, text } of breaches) console.error(`${rule}: ${at}: ${text}`)
  for (const rule of new Set(breaches.map((breach) => breach.rule))) {
    console.error(`${rule}: ${rules.find(({ name }) => name === rule)?.means ?? 'Open the file with a sentence.'}`)
  }
  console.log(breaches.length === 0 ? 'Tidy.' : `${breaches.length} untidy places.`)
  if (breaches.length > 0) process.exitCode = 1
}
