/** Answers requests about the platform itself: tenants and price books. Pure. */
import { parsePriceBook } from '../../pricing/index.ts'
import type { RequestRefusedRequestRefusal } from '../../schemas/events.generated.ts'
import { isTimeZone } from '../admission/periods.ts'
import type { Draft, Requested } from '../processor.ts'
import type { Directory } from './state.ts'

export const tenantsMax = 1_000_000
export const priceBooksMax = 10_000

export function decideRegisterTenant(request: Requested<'RegisterTenant'>, directory: Directory): Draft[] {
  const refuse = refusal(request, request.registeredTenantId)
  const parent = directory.tenants.get(request.parentId)
  if (!parent) return refuse('parent_unknown')
  const existing = directory.tenants.get(request.registeredTenantId)
  if (existing) return refuse('tenant_exists')
  if (depthOf(request.level) <= depthOf(parent.level)) return refuse('level_invalid')
  if (!isTimeZone(request.timeZone)) return refuse('time_zone_invalid')
  if (directory.tenants.size >= tenantsMax) return refuse('too_many')
  const { tenantId, registeredTenantId, level, parentId, name, currency, timeZone } = request
  return [{ type: 'TenantRegistered', tenantId, registeredTenantId, level, parentId, name, currency, timeZone }]
}

/** Publishing a book that is already published changes nothing and is answered with the same fact again. */
export function decidePublishPrices(request: Requested<'PublishPrices'>, directory: Directory): Draft[] {
  const refuse = refusal(request, request.hash)
  const parsed = parsePriceBook(request.book)
  if (!parsed.ok || parsed.book.hash !== request.hash) return refuse('book_invalid')
  if (directory.bookTexts.size >= priceBooksMax) return refuse('too_many')
  const { currency, effectiveFrom } = parsed.book
  return [
    {
      type: 'PriceBookPublished',
      tenantId: request.tenantId,
      hash: request.hash,
      currency,
      effectiveFrom,
      book: parsed.canonical,
    },
  ]
}

/** Deeper levels have higher numbers; a tenant stands below its parent. */
function depthOf(level: string): number {
  return ['platform', 'partner', 'client', 'merchant'].indexOf(level)
}

export const refusal =
  (request: { tenantId: string; type: string }, subject: string) =>
  (reason: RequestRefusedRequestRefusal): Draft[] => [
    { type: 'RequestRefused', tenantId: request.tenantId, requestType: request.type, reason, subject },
  ]
