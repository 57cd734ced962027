/** Rebuilds every tenant's balance from the billing feed, and compares one with the ledger. See README.md beside it. */
import { readFileSync } from 'node:fs'
import tls from 'node:tls'
import { parseArgs } from 'node:util'
import { decimalFromPico } from './amount.ts'
import { type Balance, Balances } from './balances.ts'
import { type Comparison, compareWithLedger, type Ledger } from './compare.ts'
import { FeedError, type FeedOptions, type Login, openFeed } from './feed.ts'

const usage = `node consume.ts --brokers HOST:PORT[,HOST:PORT] --registry URL [options]

  --tls                speaks to the brokers by TLS 1.3
  --user NAME          for SASL SCRAM-SHA-512 with the brokers, by TLS; password in KAFKA_PASSWORD
  --registry-user NAME for basic authentication with the registry, by https; password in REGISTRY_PASSWORD
  --ca FILE            authorities of all certificates, PEM; without it those the system knows
  --topic NAME         default pf3.billing
  --state FILE         goes on from there, and keeps position and balances there; without it from the beginning
  --json               says everything as one JSON object
  --compare URL        compares --tenant ID with the ledger of the API at URL; token in PF3_TOKEN
  --period YYYY-MM     compares this billing period only
  --compare-wait S     how long the ledger may take to catch up, in seconds; default 10
  --idle S             gives up after so many seconds with nothing new; default 60

Exit status: 0 done, and equal if compared; 1 the ledger differs; 2 it could not be done.`

/** Everything wrong with how it was called. */
class UsageError extends Error {}

type Options = FeedOptions & { statePath: string | undefined; isJson: boolean; ledger: Ledger | undefined }

function readOptions(): Options {
  const { values } = parseArgs({
    options: {
      brokers: { type: 'string', default: '' },
      registry: { type: 'string', default: '' },
      tls: { type: 'boolean', default: false },
      user: { type: 'string' },
      'registry-user': { type: 'string' },
      ca: { type: 'string' },
      topic: { type: 'string', default: 'pf3.billing' },
      state: { type: 'string' },
      json: { type: 'boolean', default: false },
      compare: { type: 'string' },
      tenant: { type: 'string', default: '' },
      period: { type: 'string' },
      'compare-wait': { type: 'string', default: '10' },
      idle: { type: 'string', default: '60' },
    },
  })
  const token = process.env['PF3_TOKEN'] ?? ''
  const wrong: string[] = []
  const seconds = (name: 'compare-wait' | 'idle') => {
    if (!/^\d{1,5}$/.test(values[name])) wrong.push(`--${name} is a whole number of seconds`)
    return Number(values[name])
  }
  if (values.brokers === '') wrong.push('--brokers is missing')
  if (!URL.canParse(values.registry)) wrong.push('--registry is the URL of a schema registry')
  const login = loginOf(values.user, 'KAFKA_PASSWORD', wrong)
  if (login && !values.tls) wrong.push('--user goes with --tls')
  const registryLogin = loginOf(values['registry-user'], 'REGISTRY_PASSWORD', wrong)
  if (registryLogin && !isSafeUrl(values.registry))
    wrong.push('--registry-user goes with an https URL in --registry, or http on this machine')
  if (values.ca !== undefined) trustOnly(values.ca, wrong)
  if (values.compare !== undefined) {
    if (!isSafeUrl(values.compare)) wrong.push('--compare is an https URL, or http on this machine')
    if (values.tenant === '') wrong.push('--compare goes with --tenant')
    if (token === '') wrong.push('--compare needs a token of that tenant in PF3_TOKEN')
  }
  if (values.period !== undefined && !/^\d{4}-\d\d$/.test(values.period)) wrong.push('--period is a month, as 2026-01')
  const waitSecondsMax = seconds('compare-wait')
  const idleSecondsMax = seconds('idle')
  if (wrong.length > 0) throw new UsageError(wrong.join('\n'))
  return {
    brokers: values.brokers.split(','),
    isTls: values.tls,
    login,
    registryUrl: values.registry,
    registryLogin,
    topic: values.topic,
    statePath: values.state,
    isJson: values.json,
    idleSecondsMax,
    ledger:
      values.compare === undefined
        ? undefined
        : {
            url: values.compare,
            token,
            tenantId: values.tenant,
            waitSecondsMax,
            ...(values.period !== undefined && { period: values.period }),
          },
  }
}

/** Passwords are in the environment: arguments can be seen by every process of the machine. */
function loginOf(username: string | undefined, passwordName: string, wrong: string[]): Login | undefined {
  if (username === undefined) return undefined
  const password = process.env[passwordName] ?? ''
  if (password === '') wrong.push(`--user and --registry-user need their passwords: ${passwordName} is not set`)
  return { username, password }
}

/** From now on certificates of brokers, registry and ledger are proven by these authorities and no others. */
function trustOnly(path: string, wrong: string[]): void {
  try {
    const found = readFileSync(path, 'utf8').match(/-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g)
    if (!found) wrong.push(`--ca: ${path} holds no certificate in PEM`)
    else tls.setDefaultCACertificates(found)
  } catch (error) {
    wrong.push(`--ca: ${path} cannot be read: ${reasonOf(error)}`)
  }
}

/** Tokens and passwords must not cross a network in the clear. */
function isSafeUrl(text: string): boolean {
  if (!URL.canParse(text)) return false
  const { protocol, hostname } = new URL(text)
  return protocol === 'https:' || (protocol === 'http:' && ['127.0.0.1', 'localhost', '[::1]'].includes(hostname))
}

async function main(): Promise<number> {
  tls.DEFAULT_MIN_VERSION = 'TLSv1.3'
  const { statePath, isJson, ledger, ...feedOptions } = readOptions()
  const feed = await openFeed(feedOptions)
  try {
    const balances = new Balances(statePath, { topic: feedOptions.topic, cluster: feed.cluster })
    try {
      await feed.read(balances.positions(), (batch) => balances.take(batch))
      const comparison = ledger && (await compareWithLedger([...balances.all(ledger.tenantId)], ledger))
      if (isJson) sayJson(feedOptions.topic, balances, comparison)
      else sayText(feedOptions.topic, balances, comparison)
      return comparison && comparison.differences.length > 0 ? 1 : 0
    } finally {
      balances.close()
    }
  } finally {
    await feed.close()
  }
}

const amounts = (amountPico: bigint) => ({ amount: decimalFromPico(amountPico), amountPico: String(amountPico) })

const toJson = ({ tenantId, currency, period, jobs, amountPico, byKind }: Balance) => ({
  tenantId,
  currency,
  period,
  jobs,
  ...amounts(amountPico),
  byKind: byKind.map(({ kind, lines, amountPico }) => ({ kind, lines, ...amounts(amountPico) })),
})

function sayJson(topic: string, balances: Balances, comparison: Comparison | undefined): void {
  const positions = [...balances.positions()].sort(([a], [b]) => a - b)
  const said = {
    topic,
    facts: balances.factCount(),
    thisRun: balances.taken,
    positions: Object.fromEntries(positions.map(([partition, next]) => [partition, Number(next)])),
    balances: [...balances.all()].map(toJson),
    comparison: comparison ?? null,
  }
  process.stdout.write(`${JSON.stringify(said, null, 2)}\n`)
}

function sayText(topic: string, balances: Balances, comparison: Comparison | undefined): void {
  const { records, duplicates } = balances.taken
  const out: string[] = [
    `${topic}: ${records} records read, ${duplicates} of them again; ${balances.factCount()} facts in all`,
  ]
  for (const { tenantId, currency, period, jobs, amountPico } of balances.all())
    out.push(`${tenantId}  ${period}  ${currency} ${decimalFromPico(amountPico)}  ${jobs} jobs`)
  for (const { period, what, feed, ledger } of comparison?.differences ?? [])
    out.push(`DIFFERS  ${period}  ${what}: ${feed} in the feed, ${ledger} in the ledger`)
  if (comparison?.differences.length === 0)
    out.push(`${comparison.tenantId}: the ledger says the same for ${comparison.periods.join(', ')}`)
  process.stdout.write(`${out.join('\n')}\n`)
}

/** An error with what led to it. */
function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error)
  return error.cause === undefined ? error.message : `${error.message}: ${reasonOf(error.cause)}`
}

try {
  process.exitCode = await main()
} catch (error) {
  const isUsage =
    error instanceof UsageError ||
    (error instanceof TypeError && 'code' in error && /^ERR_PARSE_ARGS/.test(String(error.code)))
  const isExpected = isUsage || error instanceof FeedError
  console.error(isExpected || !(error instanceof Error) ? reasonOf(error) : error.stack)
  if (isUsage) console.error(`\n${usage}`)
  process.exitCode = 2
}
