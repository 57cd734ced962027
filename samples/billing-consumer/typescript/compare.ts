/** Holds the balances of one tenant against `GET /v1/billing/ledger`. */
import { setTimeout as sleep } from 'node:timers/promises'
import { decimalFromPico, picoFromDecimal } from './amount.ts'
import type { Balance } from './balances.ts'
import { FeedError } from './feed.ts'

export type Difference = { period: string; what: string; feed: string; ledger: string }
export type Comparison = { tenantId: string; periods: string[]; differences: Difference[] }
export type Ledger = { url: string; token: string; tenantId: string; period?: string; waitSecondsMax: number }

/**
 * Compares every period that the feed has for the tenant, or the one given. The ledger is a view that follows the log,
 * so what differs is asked for again until it is the same or `waitSecondsMax` have passed.
 */
export async function compareWithLedger(balances: Balance[], ledger: Ledger): Promise<Comparison> {
  const { tenantId, waitSecondsMax } = ledger
  const periods = ledger.period ? [ledger.period] : [...new Set(balances.map(({ period }) => period))].sort()
  if (periods.length === 0)
    throw new FeedError(`The feed has nothing about ${tenantId}: there is nothing to compare. Give a period`)
  const until = Date.now() + waitSecondsMax * 1_000
  const differences: Difference[] = []
  for (const period of periods) {
    const fromFeed = figuresOfFeed(balances.filter((balance) => balance.period === period))
    let found = compare(period, fromFeed, await figuresOfLedger(ledger, period))
    while (found.length > 0 && Date.now() < until) {
      await sleep(1_000)
      found = compare(period, fromFeed, await figuresOfLedger(ledger, period))
    }
    differences.push(...found)
  }
  return { tenantId, periods, differences }
}

/** What a balance comes to, as text by what it is. */
type Figures = Map<string, string>

function figuresOfFeed(balances: Balance[]): Figures {
  const byKind = balances.flatMap(({ currency, byKind }) => byKind.map((kind) => ({ currency, ...kind })))
  return figures(
    balances.reduce((sum, { jobs }) => sum + jobs, 0),
    balances.reduce((sum, { amountPico }) => sum + amountPico, 0n),
    byKind,
  )
}

function figures(
  jobs: number,
  amountPico: bigint,
  byKind: { currency: string; kind: string; lines: number; amountPico: bigint }[],
): Figures {
  return new Map([
    ['jobs', String(jobs)],
    ['amount', decimalFromPico(amountPico)],
    ...byKind.flatMap(({ currency, kind, lines, amountPico }): [string, string][] => [
      [`lines of ${kind} in ${currency}`, String(lines)],
      [`amount of ${kind} in ${currency}`, decimalFromPico(amountPico)],
    ]),
  ])
}

function compare(period: string, feed: Figures, ledger: Figures): Difference[] {
  const names = [...new Set([...feed.keys(), ...ledger.keys()])].sort()
  return names
    .map((what) => ({ period, what, feed: feed.get(what) ?? '0', ledger: ledger.get(what) ?? '0' }))
    .filter((one) => one.feed !== one.ledger)
}

async function figuresOfLedger({ url, token }: Ledger, period: string): Promise<Figures> {
  const address = new URL(`v1/billing/ledger?period=${period}&limit=1`, url.endsWith('/') ? url : `${url}/`)
  const answer = await fetch(address, {
    headers: { authorization: `Bearer ${token}` },
    redirect: 'error', // Nobody else is to get the token.
    signal: AbortSignal.timeout(30_000),
  }).catch((cause) => {
    throw new FeedError(`${address.origin} cannot be asked`, { cause })
  })
  const text = await answer.text()
  if (answer.status !== 200) throw new FeedError(`${address.origin} answers ${answer.status}: ${text.slice(0, 500)}`)
  try {
    const { total } = JSON.parse(text)
    return figures(
      Number(total.jobs),
      picoFromDecimal(total.amount),
      total.byKind.map((row: Record<string, unknown>) => ({
        currency: String(row['currency']),
        kind: String(row['kind']),
        lines: Number(row['lines']),
        amountPico: picoFromDecimal(row['amount']),
      })),
    )
  } catch (cause) {
    throw new FeedError(`${address.origin} does not answer as a ledger does`, { cause })
  }
}
