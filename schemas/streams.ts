/** The one table of streams: what each is called, who writes it, how long it is kept. */

export type StreamName = 'intake' | 'directory' | 'accounts' | 'jobs' | 'usage' | 'billing' | 'transfers'
export type FactStream = Exclude<StreamName, 'intake'>

export type StreamRow = {
  name: StreamName
  holds: string
  /** `owner`: only the owner of the partition writes; `doors`: anyone appends, without transactions. */
  writtenBy: 'doors' | 'owner'
  /** `one`: a single partition read whole by everybody; `tenant`: keyed by tenant id like all others. */
  partitions: 'tenant' | 'one'
  /** Days a record is kept; null for always. */
  keptDays: number | null
}

const sevenYearsDays = 2557 // 7 × 365 + 2 leap days

export const streams: readonly StreamRow[] = [
  { name: 'intake', holds: 'requests', writtenBy: 'doors', partitions: 'tenant', keptDays: 30 },
  { name: 'directory', holds: 'platform-wide facts', writtenBy: 'owner', partitions: 'one', keptDays: null },
  { name: 'accounts', holds: 'what a tenant may do', writtenBy: 'owner', partitions: 'tenant', keptDays: null },
  { name: 'jobs', holds: 'the life of every job', writtenBy: 'owner', partitions: 'tenant', keptDays: sevenYearsDays },
  { name: 'usage', holds: 'what was consumed', writtenBy: 'owner', partitions: 'tenant', keptDays: sevenYearsDays },
  {
    name: 'billing',
    holds: 'what it costs: the feed for CS-4',
    writtenBy: 'owner',
    partitions: 'tenant',
    keptDays: sevenYearsDays,
  },
  {
    name: 'transfers',
    holds: 'what moves between tenants',
    writtenBy: 'owner',
    partitions: 'tenant',
    keptDays: sevenYearsDays,
  },
]

export const factStreams: readonly FactStream[] = ['directory', 'accounts', 'jobs', 'usage', 'billing', 'transfers']

/** The platform is itself a tenant; the owner of its partition writes the directory. */
export const platformTenantId = 'platform'
