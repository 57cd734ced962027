/** What bin/ and tests use of the processors. */

export { billingPeriodOf, isAnchorDate, isTimeZone, periodAt } from './admission/periods.ts'
export { starvationBound } from './execution/fair-queue.ts'
export type { OwnerHealth } from './owner-parts.ts'
export { type OwnerRole, type OwnerRoleOptions, type OwnerRoleParts, startOwner } from './start-owner.ts'
