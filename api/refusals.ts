/** What the reasons mean for which a request or a job is refused: the closed tables, which docs/reference/errors.md shows. */
import type { JobRefusedJobRefusal, RequestRefusedRequestRefusal } from '../schemas/events.generated.ts'
import type { FieldError } from './http/problem.ts'

/** Which levels may stand below which: any that is deeper, so levels can be left out. */
export const levelsBelow = {
  platform: ['partner', 'client', 'merchant'],
  partner: ['client', 'merchant'],
  client: ['merchant'],
  merchant: [],
} as const

const levelText = Object.entries(levelsBelow)
  .map(([level, below]) => `${level}: ${below.join(', ') || 'none'}`)
  .join('; ')

type Reasons<Reason extends string, Meaning> = Readonly<Record<Reason, Meaning>>

/** Of `RequestRefused`. Of what only parts of PF-3 ask each other for, such as a transfer, no caller is told. */
export const requestRefusals: Reasons<RequestRefusedRequestRefusal, FieldError> = {
  tenant_unknown: {
    where: 'path.t',
    problem: 'There is no such tenant.',
    expected: 'The id of a tenant that was opened.',
    remedy: 'Correct the id, or open the tenant first.',
  },
  tenant_exists: {
    where: 'body.id',
    problem: 'There is a tenant with this id already, perhaps elsewhere in the tree.',
    expected: 'An id that no tenant has.',
    remedy:
      'Choose another id, or leave it out for one that is made here. Where this request was sent before, look at the tenant.',
  },
  parent_unknown: {
    where: 'body.parentId',
    problem: 'There is no such tenant to open another below.',
    expected: 'The id of a tenant that was opened.',
    remedy: 'Correct the id, or open the parent first.',
  },
  level_invalid: {
    where: 'body.level',
    problem: 'A tenant of this level cannot stand below one of the level of its parent.',
    expected: `A level that is deeper than that of the parent. Below ${levelText}.`,
    remedy: 'Choose a deeper level, or a parent of a higher one.',
  },
  time_zone_invalid: {
    where: 'body.timeZone',
    problem: 'It is not a known time zone.',
    expected: 'A name of the IANA time zone database, such as Africa/Lagos.',
    remedy: 'Choose one of those names.',
  },
  date_invalid: {
    where: 'body.anchorDate',
    problem: 'It is not a date of the calendar.',
    expected: 'A date such as 2026-01-31.',
    remedy: 'Correct it.',
  },
  token_unknown: {
    where: 'path.tokenId',
    problem: 'The tenant has no such token.',
    expected: 'The id of a token of this tenant; not the token itself.',
    remedy: 'Look for it in the list of tokens of the tenant.',
  },
  token_exists: {
    where: 'request',
    problem: 'This request was taken before.',
    expected: 'A request of its own for every token.',
    remedy: 'Look at the list of tokens; revoke the one that was issued, and ask for another.',
  },
  cap_unknown: {
    where: 'path.capId',
    problem: 'The tenant has no such cap in force; perhaps it was removed already.',
    expected: 'The id of a cap in force.',
    remedy: 'Look for it in the list of caps of the tenant. Where it was to be removed, nothing is left to do.',
  },
  member_unknown: {
    where: 'path.memberId',
    problem: 'The tenant has no such member, and no token that works speaks for it.',
    expected: 'The id of a member that was added, or for which a token was issued.',
    remedy: 'Look for it in the list of members of the tenant.',
  },
  member_removed: {
    where: 'body.memberId',
    problem: 'The member was removed, so no token can speak for it.',
    expected: 'A member that was not removed; it need not have been added.',
    remedy: 'Add the member again first, or choose another.',
  },
  book_invalid: {
    where: 'body',
    problem: 'It is not a price book that the owner of the directory can read.',
    expected: 'A book as docs/price-books.md has it.',
    remedy: 'Publish it again once all processes are of one version.',
  },
  book_conflict: {
    where: 'body',
    problem: 'Another price book stands in its way.',
    expected: 'A book that none conflicts with.',
    remedy: 'Look at the published books.',
  },
  too_many: {
    where: 'request',
    problem: 'There are as many of these as there may be.',
    expected: 'No more than docs/limits.md says.',
    remedy: 'Remove or revoke what is not needed, or let what is under way end.',
  },
  request_invalid: {
    where: 'request',
    problem: 'The owner cannot act on a request of this form.',
    expected: 'A request as the description has it.',
    remedy: 'Send it again once all processes are of one version.',
  },
  days_invalid: {
    where: 'body.contentDays',
    problem: 'Content is not kept for so many days.',
    expected: 'From 7 to 90 days.',
    remedy: 'Choose another number.',
  },
  erasure_unknown: {
    where: 'request',
    problem: 'No erasure with this id is under way.',
    expected: 'An erasure that was asked for and not carried out.',
    remedy: 'Nothing: another process has carried it out.',
  },
  sender_not_below: {
    where: 'request',
    problem: 'A transfer comes from a tenant that is not below its receiver.',
    expected: 'A transfer to an ancestor.',
    remedy: 'Nothing: it is refused for good.',
  },
  number_gap: {
    where: 'request',
    problem: 'A transfer came before the one that has to come first.',
    expected: 'Transfers in the order of their numbers.',
    remedy: 'Nothing: it is sent again.',
  },
  unknown: {
    where: 'request',
    problem: 'It was refused for a reason that this version does not know.',
    expected: 'Processes of one version.',
    remedy: 'Ask a process of the newer version.',
  },
}

/** Of `JobRefused`. Nothing was held or charged; the same job can be submitted again under another idempotency key. */
export const jobRefusals: Reasons<JobRefusedJobRefusal, string> = {
  over_cap:
    'The most the job could use does not fit below a cap: `cap` says which, what is free, and when it resets. Wait until then, ask for less, or have the cap raised.',
  over_max_charge:
    'The most the job could cost, `most`, is more than its maxCharge or its quote allows. Allow for more, ask for less, or estimate it again.',
  unpriced:
    'No price book in force has a price in the currency of the tenant for every step of the route. Whoever runs the platform publishes one.',
  queue_full:
    'As many jobs of the tenant, or of all tenants it shares a partition with, are open as may be. Submit it again when some have ended.',
  resource_unknown: 'The tenant has no such label set. Register it, then submit the job again.',
  tenant_unknown: 'The owner does not know the tenant yet. Submit the job again shortly.',
  no_route:
    'No provider of the service serves the capability with this model. Leave the model out or choose another, or have a provider configured.',
  key_taken:
    'The idempotency key stood for another job already, of the last day, and the database has lost which: it was set back, or was replaced by one that was behind. Look for that job in the list of jobs. To have the work done again, submit it under another key.',
  unknown: 'The job was refused for a reason that this version does not know.',
}

const isReason = <Reason extends string>(table: Reasons<Reason, unknown>, reason: string): reason is Reason =>
  Object.hasOwn(table, reason)

/** One that this version does not know reads as `unknown`. */
export const requestRefusal = (reason: string): FieldError =>
  requestRefusals[isReason(requestRefusals, reason) ? reason : 'unknown']
export const jobRefusalMeans = (reason: string): string =>
  jobRefusals[isReason(jobRefusals, reason) ? reason : 'unknown']
