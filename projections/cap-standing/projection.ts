/**
 * Where does a cap stand? Two tables: every version of every cap, and what is settled and held per cap, period and
 * version. A standing is the sum over the versions that count together, so no op has to look at another row.
 */
import type { JobRatedBody, UsageMeteredBody } from '../../schemas/events.generated.ts'
import { amount, bigint, boolean, nullable, projection, sqlFile, text, total } from '../projection.ts'

export const capVersions = projection({
  name: 'cap-versions',
  version: 1,
  table: 'cap_version',
  tableSql: sqlFile(import.meta.dirname, 'cap-version.sql'),
  keyColumns: ['tenant_id', 'cap_id', 'version'],
  columns: {
    tenant_id: text,
    cap_id: text,
    version: bigint,
    removed: boolean,
    metric: nullable(text),
    limit_amount: nullable(amount),
    period: nullable(text),
    anchor_date: nullable(text),
    scope_member_id: nullable(text),
    scope_capability: nullable(text),
    counts_from: nullable(bigint),
    set_at: bigint,
    set_by: text,
  },
  apply(fact) {
    switch (fact.type) {
      case 'CapSet':
        return [
          {
            op: 'insert',
            key: { tenant_id: fact.tenantId, cap_id: fact.capId, version: fact.version },
            values: {
              removed: false,
              metric: fact.metric,
              limit_amount: fact.limit,
              period: fact.period,
              anchor_date: fact.anchorDate,
              scope_member_id: fact.scopeMemberId,
              scope_capability: fact.scopeCapability,
              counts_from: fact.countsFrom,
              set_at: fact.occurredAt,
              set_by: fact.actor,
            },
          },
        ]
      case 'CapRemoved':
        return [
          {
            op: 'insert',
            key: { tenant_id: fact.tenantId, cap_id: fact.capId, version: fact.version },
            values: { removed: true, set_at: fact.occurredAt, set_by: fact.actor },
          },
        ]
      default:
        return []
    }
  },
})

export const capStanding = projection({
  name: 'cap-standing',
  version: 1,
  table: 'cap_standing',
  tableSql: sqlFile(import.meta.dirname),
  keyColumns: ['tenant_id', 'cap_id', 'period_start', 'cap_version'],
  columns: {
    tenant_id: text,
    cap_id: text,
    period_start: bigint,
    cap_version: bigint,
    period_end: nullable(bigint),
    metric: text,
    settled: total(amount),
    held: total(amount),
  },
  apply(fact) {
    switch (fact.type) {
      case 'JobAdmitted':
        return fact.caps.map((cap) => ({
          op: 'add',
          key: {
            tenant_id: fact.tenantId,
            cap_id: cap.capId,
            period_start: cap.periodStart,
            cap_version: cap.capVersion,
          },
          add: { held: cap.held },
          values: { period_end: cap.periodEnd, metric: cap.metric },
        }))
      case 'UsageMetered':
      case 'JobRated':
        return settled(fact)
      default:
        return []
    }
  },
})

const settled = ({
  tenantId,
  settlements,
}: { tenantId: string } & Pick<JobRatedBody | UsageMeteredBody, 'settlements'>) =>
  settlements.map(({ capId, periodStart, capVersion, metric, held, settled }) => ({
    op: 'add' as const,
    key: { tenant_id: tenantId, cap_id: capId, period_start: periodStart, cap_version: capVersion },
    add: { held: -held, settled },
    values: { metric },
  }))
