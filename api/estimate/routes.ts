/** Estimates a job without submitting it; nothing is written. */
import { type Most, mostPico, type PriceBook, parsePriceBook } from '../../pricing/index.ts'
import type { CapStanding } from '../../projections/cap-standing/queries.ts'
import { labelSetById } from '../../projections/label-sets/queries.ts'
import { bookInForce } from '../../projections/price-books/queries.ts'
import { decimalFromPico, isoFromMicros, microsFromMs, picoFromDecimal } from '../../schemas/units.ts'
import { toApiAmount } from '../caps/convert.ts'
import { standingsOf } from '../caps/standings.ts'
import { none } from '../http/forms.ts'
import { Problem } from '../http/problem.ts'
import { memberOf, readWork, type Work } from '../jobs/read-work.ts'
import { jobBytesMax } from '../jobs/routes.ts'
import type { Parts } from '../parts.ts'
import { type Route, route } from '../route.ts'
import { type ApiEstimate, estimateBody, estimateReply } from './convert.ts'
import { quotedFor, quoteMs, writeQuote } from './quote.ts'

export const estimateRoutes: readonly Route[] = [
  route({
    method: 'post',
    path: '/v1/jobs/estimate',
    summary:
      'What a job could cost at most, step by step, whether the caps would refuse it now, and a quote that binds that most.',
    roles: ['tenant-admin', 'submitter'],
    params: none,
    query: none,
    body: estimateBody,
    example: { capability: 'classify.sentiment', input: { text: 'What a good day.' } },
    bodyBytesMax: jobBytesMax,
    replies: { 200: estimateReply },
    async handle({ body, who }, parts) {
      const work = readWork(body, parts)
      const memberId = memberOf(who, body.memberId)
      const { at, tenant, standings } = await standingsOf(who.tenantId, parts)
      const [book, isThere] = await Promise.all([
        bookOf(tenant.currency, at, parts),
        isResourceThere(work, who.tenantId, parts),
      ])
      const mostOf = (steps: Work['steps']): Most =>
        book
          ? mostPico(
              book,
              steps.map(({ provider, model }) => ({
                capability: work.capability.name,
                provider,
                model,
                keyOwner: 'platform',
              })),
              work.bounds,
            )
          : { priced: false, missing: [] }
      const most = mostOf(work.steps)
      const caps = standings
        .filter((cap) => cap.scopeMemberId === null || cap.scopeMemberId === memberId)
        .filter((cap) => cap.scopeCapability === null || cap.scopeCapability === work.capability.name)
        .map((cap) => toApiCapFit(cap, neededOf(cap, work, most)))
      const reply: ApiEstimate = {
        at: isoFromMicros(at),
        capability: work.capability.name,
        inputTokensMax: Number(work.bounds.inputTokensMax),
        outputTokensMax: Number(work.bounds.outputTokensMax),
        currency: tenant.currency,
        priceBookHash: book?.hash ?? null,
        priced: most.priced,
        most: toApiMost(most),
        steps: work.steps.map((step) => {
          const one = mostOf([step])
          return { ...step, priced: one.priced, most: toApiMost(one) }
        }),
        caps,
        quote: quoteOf(who.tenantId, work, most, parts),
        wouldRefuse: null,
      }
      return { status: 200, body: { ...reply, wouldRefuse: refusalOf(reply, most, isThere, body.maxCharge) } }
    },
  }),
]

const parsedBooks = new Map<string, PriceBook>() // By hash, so the same for everybody: a memo, not state.
const parsedBooksMax = 100

async function bookOf(currency: string, at: bigint, { database }: Parts): Promise<PriceBook | undefined> {
  const published = await database.asService((tx) => bookInForce(tx, currency, at))
  if (!published) return undefined
  const known = parsedBooks.get(published.hash)
  if (known) return known
  const parsed = parsePriceBook(published.book)
  if (!parsed.ok)
    throw new Problem(
      'INTERNAL',
      {},
      { cause: new Error(`The published price book ${published.hash} cannot be read.`) },
    )
  if (parsedBooks.size >= parsedBooksMax) parsedBooks.clear()
  parsedBooks.set(published.hash, parsed.book)
  return parsed.book
}

async function isResourceThere({ resourceId }: Work, tenantId: string, { database }: Parts): Promise<boolean> {
  if (resourceId === undefined) return true
  return (await database.asTenant(tenantId, (tx) => labelSetById(tx, tenantId, resourceId))) !== undefined
}

function neededOf({ metric }: CapStanding, { bounds }: Work, most: Most): bigint | null {
  if (metric === 'requests') return 1n
  if (metric === 'tokens') return bounds.inputTokensMax + bounds.outputTokensMax
  return most.priced ? most.pico : null
}

const toApiCapFit = (cap: CapStanding, needed: bigint | null): ApiEstimate['caps'][number] => ({
  id: cap.capId,
  metric: cap.metric,
  limit: toApiAmount(cap.metric, cap.limit),
  free: toApiAmount(cap.metric, cap.free),
  needed: needed === null ? null : toApiAmount(cap.metric, needed),
  fits: needed !== null && cap.settled + cap.held + needed <= cap.limit,
  resetsAt: cap.periodEnd === null ? null : isoFromMicros(cap.periodEnd),
})

function quoteOf(tenantId: string, work: Work, most: Most, { clock, quoteKey }: Parts): ApiEstimate['quote'] {
  if (!most.priced) return null
  const terms = { maxCharge: most.pico, expiresAtMs: clock.nowMs() + quoteMs }
  return {
    token: writeQuote(quoteKey, quotedFor(tenantId, work), terms),
    maxCharge: decimalFromPico(terms.maxCharge),
    expiresAt: isoFromMicros(microsFromMs(terms.expiresAtMs)),
  }
}

const toApiMost = (most: Most): string | null => (most.priced ? decimalFromPico(most.pico) : null)

/** In the order in which admission looks. */
function refusalOf(
  estimate: ApiEstimate,
  most: Most,
  isThere: boolean,
  maxCharge: string | undefined,
): ApiEstimate['wouldRefuse'] {
  const maxChargePico = maxCharge === undefined ? undefined : picoFromDecimal(maxCharge)
  if (estimate.steps.length === 0) return 'no_route'
  if (!isThere) return 'resource_unknown'
  if (!most.priced) return 'unpriced'
  if (maxChargePico !== undefined && most.pico > maxChargePico) return 'over_max_charge'
  return estimate.caps.every((cap) => cap.fits) ? null : 'over_cap'
}
