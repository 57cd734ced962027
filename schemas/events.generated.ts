// Generated from the Avro schemas by `npm run gen`. Do not edit.

/** Every fact has these. */
export type FactHeader = {
  /** Tenant the fact belongs to; also the record key, so it decides the partition. */
  tenantId: string
  /** Id of this fact, derived from its cause: a decision made again from the same cause has the same id. */
  eventId: string
  /** Position of the fact in its partition's total order: gapless across all fact streams of the partition, from 1. */
  seq: bigint
  /** Owner's clock when it decided, in microseconds since the epoch; never decreases within a partition. */
  occurredAt: bigint
  /** Who caused it: 'token:<id>' for a caller, 'owner' for the partition's owner itself. */
  actor: string
  /** Follows one caller's request through every fact it leads to. */
  correlationId: string
  /** Id of what caused it: a request, an attempt, another fact or a timer. */
  causedBy: string
  /** Offset in the partition's intake of the request that caused it; null when no request did. */
  intakeOffset: bigint | null
  /** W3C trace context of the caller, if it sent one. */
  traceparent: string | null
}

/** Their names. */
export const factHeaderNames = [
  'tenantId',
  'eventId',
  'seq',
  'occurredAt',
  'actor',
  'correlationId',
  'causedBy',
  'intakeOffset',
  'traceparent',
] as const

/** Every request has these. */
export type RequestHeader = {
  /** Tenant the request is for; also the record key, so it decides the partition. */
  tenantId: string
  /** Id of the request, chosen once by the door it came in by; the same request appended again keeps it. */
  requestId: string
  /** Clock of the door that took the request in, in microseconds since the epoch. For information: decisions use the owner's clock. */
  requestedAt: bigint
  /** Who asks: 'token:<id>'. */
  actor: string
  /** Follows this request through every fact it leads to. */
  correlationId: string
  /** Offset after the last directory record the door had read; the owner reads at least as far before it decides. */
  directoryVersion: bigint
  /** W3C trace context of the caller, if it sent one. */
  traceparent: string | null
}

export type AddMemberMemberKind = 'agent' | 'staff' | 'user' | 'unknown'
/** Asks that a member of the tenant be known, or be of another kind. */
export type AddMemberBody = {
  type: 'AddMember'
  /** Id of the member, chosen by the tenant and opaque: names and addresses do not belong in it. */
  memberId: string
  /** What the member is: software that acts for the tenant, one of its people, or one of its customers. */
  kind: AddMemberMemberKind
}
export type AddMember = RequestHeader & AddMemberBody

/** Asks that all content of the tenant be erased. */
export type EraseContentBody = {
  type: 'EraseContent'
  /** Id of the erasure within its tenant, chosen by the door. */
  erasureId: string
}
export type EraseContent = RequestHeader & EraseContentBody

export type IssueTokenRole = 'platform_admin' | 'tenant_admin' | 'submitter' | 'reader' | 'unknown'
/** Asks for a new token of the tenant. */
export type IssueTokenBody = {
  type: 'IssueToken'
  /** Id of the token; public. */
  tokenId: string
  /** SHA-256, in hex, of the token; the token itself is shown once and kept nowhere. */
  secretHash: string
  /** What the token may do. */
  role: IssueTokenRole
  /** Member the token speaks for; null for the tenant itself. */
  memberId: string | null
  /** When it stops working; null for never. */
  expiresAt: bigint | null
}
export type IssueToken = RequestHeader & IssueTokenBody

/** Asks the platform to publish a price book. */
export type PublishPricesBody = {
  type: 'PublishPrices'
  /** SHA-256, in hex, of the canonical book. */
  hash: string
  /** The book as canonical JSON; see pricing. */
  book: string
}
export type PublishPrices = RequestHeader & PublishPricesBody

/** Asks that an act of a platform admin in the tenant be on record before it happens. */
export type RecordAdminActBody = {
  type: 'RecordAdminAct'
  /** Why the platform admin acts in this tenant, in its own words: 10 to 500 printable ASCII characters. Kept as long as the fact, so no personal data belongs in it. */
  justification: string
  /** HTTP method of the act, in capitals. */
  method: string
  /** Address of the act as the route table has it, with its ids left open. */
  route: string
  /** Address of the act with the ids it named, without its query. */
  path: string
}
export type RecordAdminAct = RequestHeader & RecordAdminActBody

/** Asks that a label set be used from now on. */
export type RegisterLabelSetBody = {
  type: 'RegisterLabelSet'
  /** Id of the label set within its tenant, chosen by the caller. */
  labelSetId: string
  /** SHA-256, in hex, of the label set's canonical content: its version. */
  hash: string
  /** Where the payload vault keeps the labels and examples. */
  payloadRef: string
  /** Size of the content in bytes. */
  payloadBytes: bigint
  /** How many labels it has. */
  labelCount: number
  /** How many labelled examples it has. */
  exampleCount: number
}
export type RegisterLabelSet = RequestHeader & RegisterLabelSetBody

export type RegisterTenantTenantLevel = 'platform' | 'partner' | 'client' | 'merchant' | 'unknown'
/** Asks the platform to open a tenant below another. */
export type RegisterTenantBody = {
  type: 'RegisterTenant'
  /** Id of the new tenant, chosen by the caller or generated. */
  registeredTenantId: string
  /** Its level in the tree. */
  level: RegisterTenantTenantLevel
  /** Tenant above it. */
  parentId: string
  /** Name of the business, for people. */
  name: string
  /** ISO 4217 code in which the tenant is billed. */
  currency: string
  /** IANA time zone in which the tenant's days and months begin. */
  timeZone: string
}
export type RegisterTenant = RequestHeader & RegisterTenantBody

/** Asks that a cap be removed. */
export type RemoveCapBody = {
  type: 'RemoveCap'
  /** Cap to remove. */
  capId: string
}
export type RemoveCap = RequestHeader & RemoveCapBody

/** Asks that a member no longer act for the tenant. */
export type RemoveMemberBody = {
  type: 'RemoveMember'
  /** Member to remove. */
  memberId: string
}
export type RemoveMember = RequestHeader & RemoveMemberBody

/** Says that an erasure was carried out. Repeated when the process that did it died before it knew that this was in the log. */
export type ReportErasedBody = {
  type: 'ReportErased'
  /** Id of the erasure within its tenant. */
  erasureId: string
  /** Keys destroyed by the run that reported it; an earlier run that died may have destroyed others. */
  keys: bigint
  /** Contents deleted by the run that reported it. */
  payloads: bigint
}
export type ReportErased = RequestHeader & ReportErasedBody

/** Asks that a job be given up. */
export type RequestCancelBody = {
  type: 'RequestCancel'
  /** Job it is about. */
  jobId: string
}
export type RequestCancel = RequestHeader & RequestCancelBody

/** Asks that a token stop working. */
export type RevokeTokenBody = {
  type: 'RevokeToken'
  /** Token to revoke. */
  tokenId: string
}
export type RevokeToken = RequestHeader & RevokeTokenBody

export type SetCapMetric = 'requests' | 'tokens' | 'money' | 'unknown'
export type SetCapCapPeriod = 'day' | 'week' | 'month' | 'total' | 'unknown'
/** Asks for a cap, or for another limit of one. */
export type SetCapBody = {
  type: 'SetCap'
  /** Id of the cap within its tenant, chosen by the caller. */
  capId: string
  /** What the cap limits. */
  metric: SetCapMetric
  /** Most that may be settled and held within a period, in the metric's unit; at least 0. */
  limit: bigint
  /** Length of a period. */
  period: SetCapCapPeriod
  /** Local date (YYYY-MM-DD) from whose midnight periods are counted; null for calendar periods. */
  anchorDate: string | null
  /** Limits only jobs of this member; null for all. */
  scopeMemberId: string | null
  /** Limits only jobs of this capability; null for all. */
  scopeCapability: string | null
}
export type SetCap = RequestHeader & SetCapBody

/** Asks that inputs and results of the tenant be kept for another number of days. */
export type SetRetentionBody = {
  type: 'SetRetention'
  /** Whole days (UTC) that inputs and results are kept after the day they came in; 7 to 90. */
  contentDays: number
}
export type SetRetention = RequestHeader & SetRetentionBody

/** Asks that a job be run. */
export type SubmitJobBody = {
  type: 'SubmitJob'
  /** Job it is about. */
  jobId: string
  /** Member (agent, staff or user) of the tenant on whose behalf the job runs; null for the tenant itself. */
  memberId: string | null
  /** What is asked for, for example classify.category. */
  capability: string
  /** Tenant's resource the job works with, for example a label set; null when the capability needs none. */
  resourceId: string | null
  /** Model the caller insists on; null for the route's own choice. */
  model: string | null
  /** Where the payload vault keeps the input. */
  payloadRef: string
  /** Size of the input in bytes. */
  payloadBytes: bigint
  /** HMAC-SHA-256 of the input, in hex, under the payload's own key: proves the content, reveals nothing after erasure. */
  payloadMac: string
  /** 1 (most urgent) to 5; 3 is ordinary. */
  priority: number
  /** Upper bound of input tokens. */
  inputTokensMax: bigint
  /** Upper bound of output tokens; sent to the provider as its limit. */
  outputTokensMax: bigint
  /** Most the caller accepts to pay, in pico-units of the tenant's currency; null for no own limit. */
  maxCharge: bigint | null
  /** Milliseconds from admission after which the job is given up. */
  deadlineMs: bigint
}
export type SubmitJob = RequestHeader & SubmitJobBody

export type TransferArrivedTransferKind = 'rollup' | 'unknown'
/** What came to the jobs rated on one day in one billing period and currency since the last transfer; amounts are added to earlier ones. */
export type TransferArrivedRollupLine = {
  /** UTC day (YYYY-MM-DD) on which the jobs were rated. */
  day: string
  /** Calendar month (YYYY-MM) in the sender's time zone that the charges belong to. */
  billingPeriod: string
  /** ISO 4217 code of the amount. */
  currency: string
  /** Admitted jobs that were rated: succeeded, failed and cancelled. */
  jobs: bigint
  /** Of these, how many succeeded. */
  succeeded: bigint
  /** Of these, how many failed. */
  failed: bigint
  /** Of these, how many were cancelled. */
  cancelled: bigint
  /** Input tokens that no cache had. */
  inputUncachedTokens: bigint
  /** Input tokens read from a cache. */
  inputCacheReadTokens: bigint
  /** Input tokens written to a cache. */
  inputCacheWriteTokens: bigint
  /** Output tokens, reasoning among them. */
  outputTokens: bigint
  /** Output tokens that were spent on reasoning. */
  reasoningTokens: bigint
  /** What the sender is charged for them, in pico-units of the currency. */
  chargedPico: bigint
}
/** Hands a transfer over to its receiver. Written only by the owner of the sender, never for a caller; its id is that of the TransferSent it follows from. */
export type TransferArrivedBody = {
  type: 'TransferArrived'
  /** Tenant that sent it. */
  fromTenantId: string
  /** Which transfer from this sender to this receiver it is: gapless from 1. */
  number: bigint
  /** What it carries. */
  kind: TransferArrivedTransferKind
  /** What is told to an ancestor; empty when the kind is not rollup. */
  rollup: TransferArrivedRollupLine[]
}
export type TransferArrived = RequestHeader & TransferArrivedBody

export type IntakeEvent = AddMember | EraseContent | IssueToken | PublishPrices | RecordAdminAct | RegisterLabelSet | RegisterTenant | RemoveCap | RemoveMember | ReportErased | RequestCancel | RevokeToken | SetCap | SetRetention | SubmitJob | TransferArrived

/** A price book can be used from now on; it is never changed. */
export type PriceBookPublishedBody = {
  type: 'PriceBookPublished'
  /** SHA-256, in hex, of the canonical book: its identity in every rated fact. */
  hash: string
  /** ISO 4217 code of every price in it. */
  currency: string
  /** Admissions from this moment on use it, until a later book takes over. */
  effectiveFrom: bigint
  /** The book as canonical JSON; see pricing. */
  book: string
}
export type PriceBookPublished = FactHeader & PriceBookPublishedBody

export type TenantRegisteredTenantLevel = 'platform' | 'partner' | 'client' | 'merchant' | 'unknown'
/** A tenant exists from now on. */
export type TenantRegisteredBody = {
  type: 'TenantRegistered'
  /** Id of the new tenant, chosen by the caller or generated. */
  registeredTenantId: string
  /** Its level in the tree. */
  level: TenantRegisteredTenantLevel
  /** Tenant above it. */
  parentId: string
  /** Name of the business, for people. */
  name: string
  /** ISO 4217 code in which the tenant is billed. */
  currency: string
  /** IANA time zone in which the tenant's days and months begin. */
  timeZone: string
}
export type TenantRegistered = FactHeader & TenantRegisteredBody

export type DirectoryEvent = PriceBookPublished | TenantRegistered

/** A platform admin was about to act in the tenant, or to look at what is the tenant's, and said why. On record before the act, which may have been refused or have failed afterwards; the correlation id leads to what it did. Kept seven years at least. */
export type AdminActedBody = {
  type: 'AdminActed'
  /** Why the platform admin acts in this tenant, in its own words: 10 to 500 printable ASCII characters. Kept as long as the fact, so no personal data belongs in it. */
  justification: string
  /** HTTP method of the act, in capitals. */
  method: string
  /** Address of the act as the route table has it, with its ids left open. */
  route: string
  /** Address of the act with the ids it named, without its query. */
  path: string
}
export type AdminActed = FactHeader & AdminActedBody

/** A cap is no longer in force. */
export type CapRemovedBody = {
  type: 'CapRemoved'
  /** Cap that was removed. */
  capId: string
  /** Version of the removal. */
  version: bigint
}
export type CapRemoved = FactHeader & CapRemovedBody

export type CapSetMetric = 'requests' | 'tokens' | 'money' | 'unknown'
export type CapSetCapPeriod = 'day' | 'week' | 'month' | 'total' | 'unknown'
/** A cap is in force, or has another limit, from now on. */
export type CapSetBody = {
  type: 'CapSet'
  /** Id of the cap within its tenant, chosen by the caller. */
  capId: string
  /** What the cap limits. */
  metric: CapSetMetric
  /** Most that may be settled and held within a period, in the metric's unit; at least 0. */
  limit: bigint
  /** Length of a period. */
  period: CapSetCapPeriod
  /** Local date (YYYY-MM-DD) from whose midnight periods are counted; null for calendar periods. */
  anchorDate: string | null
  /** Limits only jobs of this member; null for all. */
  scopeMemberId: string | null
  /** Limits only jobs of this capability; null for all. */
  scopeCapability: string | null
  /** Raised by each change of the cap, also across removal; the first is 1. */
  version: bigint
  /** What was admitted from this moment on counts; kept while only the limit changes. */
  countsFrom: bigint
}
export type CapSet = FactHeader & CapSetBody

/** The keys of the content are destroyed and the content is deleted. Amounts, jobs and usage stay in other facts. */
export type ContentErasedBody = {
  type: 'ContentErased'
  /** Id of the erasure within its tenant. */
  erasureId: string
  /** Keys destroyed by the run that reported it; an earlier run that died may have destroyed others. */
  keys: bigint
  /** Contents deleted by the run that reported it. */
  payloads: bigint
}
export type ContentErased = FactHeader & ContentErasedBody

/** All content of the tenant that is stored before it is carried out is to be erased: inputs, results, label sets. Nothing is gone yet: ContentErased says when it is. */
export type ErasureRequestedBody = {
  type: 'ErasureRequested'
  /** Id of the erasure within its tenant. */
  erasureId: string
}
export type ErasureRequested = FactHeader & ErasureRequestedBody

/** Jobs admitted from now on use this version of the label set. */
export type LabelSetRegisteredBody = {
  type: 'LabelSetRegistered'
  /** Id of the label set within its tenant, chosen by the caller. */
  labelSetId: string
  /** SHA-256, in hex, of the label set's canonical content: its version. */
  hash: string
  /** Where the payload vault keeps the labels and examples. */
  payloadRef: string
  /** Size of the content in bytes. */
  payloadBytes: bigint
  /** How many labels it has. */
  labelCount: number
  /** How many labelled examples it has. */
  exampleCount: number
}
export type LabelSetRegistered = FactHeader & LabelSetRegisteredBody

export type MemberAddedMemberKind = 'agent' | 'staff' | 'user' | 'unknown'
/** A member of the tenant is known, or is of another kind from now on. A removed one may act again; its old tokens stay revoked. */
export type MemberAddedBody = {
  type: 'MemberAdded'
  /** Id of the member, chosen by the tenant and opaque: names and addresses do not belong in it. */
  memberId: string
  /** What the member is: software that acts for the tenant, one of its people, or one of its customers. */
  kind: MemberAddedMemberKind
}
export type MemberAdded = FactHeader & MemberAddedBody

/** A member no longer acts for the tenant: no token is issued for it and no credential that names it is accepted. Its tokens are revoked by the same decision, each with a TokenRevoked. */
export type MemberRemovedBody = {
  type: 'MemberRemoved'
  /** Member that was removed. */
  memberId: string
}
export type MemberRemoved = FactHeader & MemberRemovedBody

export type RequestRefusedRequestRefusal = 'tenant_unknown' | 'tenant_exists' | 'parent_unknown' | 'level_invalid' | 'time_zone_invalid' | 'date_invalid' | 'token_unknown' | 'token_exists' | 'cap_unknown' | 'member_unknown' | 'member_removed' | 'book_invalid' | 'book_conflict' | 'too_many' | 'request_invalid' | 'days_invalid' | 'erasure_unknown' | 'sender_not_below' | 'number_gap' | 'unknown'
/** A request other than a job was refused; nothing changed. */
export type RequestRefusedBody = {
  type: 'RequestRefused'
  /** Event name of the request. */
  requestType: string
  /** Why. */
  reason: RequestRefusedRequestRefusal
  /** Id the request was about. */
  subject: string
}
export type RequestRefused = FactHeader & RequestRefusedBody

/** From now on inputs and results of the tenant are kept this long. */
export type RetentionSetBody = {
  type: 'RetentionSet'
  /** Whole days (UTC) that inputs and results are kept after the day they came in; 7 to 90. */
  contentDays: number
}
export type RetentionSet = FactHeader & RetentionSetBody

export type TokenIssuedRole = 'platform_admin' | 'tenant_admin' | 'submitter' | 'reader' | 'unknown'
/** A token works from now on. */
export type TokenIssuedBody = {
  type: 'TokenIssued'
  /** Id of the token; public. */
  tokenId: string
  /** SHA-256, in hex, of the token. */
  secretHash: string
  /** What the token may do. */
  role: TokenIssuedRole
  /** Member the token speaks for; null for the tenant itself. */
  memberId: string | null
  /** When it stops working; null for never. */
  expiresAt: bigint | null
}
export type TokenIssued = FactHeader & TokenIssuedBody

/** A token no longer works. */
export type TokenRevokedBody = {
  type: 'TokenRevoked'
  /** Token that was revoked. */
  tokenId: string
}
export type TokenRevoked = FactHeader & TokenRevokedBody

export type AccountsEvent = AdminActed | CapRemoved | CapSet | ContentErased | ErasureRequested | LabelSetRegistered | MemberAdded | MemberRemoved | RequestRefused | RetentionSet | TokenIssued | TokenRevoked

/** What the provider reported for the failed call; charged only when the job was cancelled, and then by its UsageMetered. */
export type AttemptFailedFailedUsage = {
  /** Input tokens read in full; disjoint from the cached ones. */
  inputUncachedTokens: bigint
  /** Input tokens served from the provider's cache. */
  inputCacheReadTokens: bigint
  /** Input tokens written to the provider's cache. */
  inputCacheWriteTokens: bigint
  /** Tokens produced, reasoning included. */
  outputTokens: bigint
  /** Part of outputTokens spent on reasoning; already counted there. */
  reasoningTokens: bigint
}
/** A call to a provider brought no result. */
export type AttemptFailedBody = {
  type: 'AttemptFailed'
  /** Job it is about. */
  jobId: string
  /** Number of the attempt within its job, from 1. */
  attemptNo: number
  /** Id of the attempt, derived from job and number; sent to the provider as idempotency key. */
  attemptId: string
  /** Provider. */
  provider: string
  /** Failure code from the closed table of errors. */
  code: string
  /** True when nobody knows whether the provider did the work: the owner died during the call. */
  indeterminate: boolean
  /** When the job is tried again; null when it is not. */
  retryAt: bigint | null
  /** Duration of the call in milliseconds; 0 when unknown. */
  durationMs: bigint
  /** Usage of the failed call, if the provider reported it. */
  usage: AttemptFailedFailedUsage | null
}
export type AttemptFailed = FactHeader & AttemptFailedBody

export type AttemptStartedKeyOwner = 'platform' | 'tenant' | 'ancestor' | 'unknown'
/** A call to a provider. One to a remote provider leaves only after this is committed; a local engine may begin before. */
export type AttemptStartedBody = {
  type: 'AttemptStarted'
  /** Job it is about. */
  jobId: string
  /** Number of the attempt within its job, from 1. */
  attemptNo: number
  /** Id of the attempt, derived from job and number; sent to the provider as idempotency key. */
  attemptId: string
  /** Provider. */
  provider: string
  /** Model or engine version. */
  model: string
  /** Whose key is used. */
  keyOwner: AttemptStartedKeyOwner
  /** Key that is used. */
  keyId: string | null
  /** When the call is aborted. */
  deadlineAt: bigint
}
export type AttemptStarted = FactHeader & AttemptStartedBody

/** A running job is to be given up; its call is being aborted. */
export type CancelRequestedBody = {
  type: 'CancelRequested'
  /** Job it is about. */
  jobId: string
}
export type CancelRequested = FactHeader & CancelRequestedBody

export type JobAdmittedMetric = 'requests' | 'tokens' | 'money' | 'unknown'
/** What one cap held for the job, and how it stood before. */
export type JobAdmittedCapHold = {
  /** Cap that applies. */
  capId: string
  /** Version of the cap the decision used. */
  capVersion: bigint
  /** Start of the period the hold falls in. */
  periodStart: bigint
  /** End of that period, exclusive; null when it never ends. */
  periodEnd: bigint | null
  /** What is counted. */
  metric: JobAdmittedMetric
  /** Limit in force, in the metric's unit. */
  limit: bigint
  /** Settled in the period before this job. */
  settledBefore: bigint
  /** Held in the period before this job. */
  heldBefore: bigint
  /** Held for this job. */
  held: bigint
}
export type JobAdmittedKeyOwner = 'platform' | 'tenant' | 'ancestor' | 'unknown'
export type JobAdmittedPool = 'local' | 'remote' | 'unknown'
/** One provider that may be tried. */
export type JobAdmittedRouteStep = {
  /** Provider. */
  provider: string
  /** Model or engine version. */
  model: string
  /** Whose key is used. */
  keyOwner: JobAdmittedKeyOwner
  /** Key that is used; null when the provider needs none. */
  keyId: string | null
  /** Where it runs. */
  pool: JobAdmittedPool
}
/** The job may run: what it can cost at most is held under every cap that applies. */
export type JobAdmittedBody = {
  type: 'JobAdmitted'
  /** Job it is about. */
  jobId: string
  /** Member (agent, staff or user) of the tenant on whose behalf the job runs; null for the tenant itself. */
  memberId: string | null
  /** What was asked for. */
  capability: string
  /** 1 (most urgent) to 5. */
  priority: number
  /** Requests held: 1. */
  requestsHeld: bigint
  /** Tokens held: the bounds of input and output together. */
  tokensHeld: bigint
  /** Money held, in pico-units of the currency: the most any step of the route could charge. */
  heldPico: bigint
  /** Most the job may be charged, in pico-units of the currency, as its caller said; null for no such bound. */
  maxCharge: bigint | null
  /** ISO 4217 code. */
  currency: string
  /** Every cap that applies, in order of id. */
  caps: JobAdmittedCapHold[]
  /** Providers that may be tried, in order; fixed here, acyclic. */
  route: JobAdmittedRouteStep[]
  /** Price book that fixes hold and charge. */
  priceBookHash: string
  /** Calendar month (YYYY-MM) in the tenant's time zone that the charge belongs to. */
  billingPeriod: string
  /** Time zone the periods were computed in. */
  timeZone: string
  /** Offset after the last directory record the decision had read. */
  directoryVersion: bigint
  /** Version of the resource the job works with. */
  resourceHash: string | null
  /** Cost that fair queueing counts for the job; at least 1. */
  schedulingCost: bigint
  /** Share of the places the tenant has in fair queueing, relative to the others; at least 1. */
  schedulingWeight: number
  /** Attempts after which the job is given up. */
  attemptsMax: number
  /** When the job is given up if it has not ended. */
  deadlineAt: bigint
}
export type JobAdmitted = FactHeader & JobAdmittedBody

/** The job was given up because the caller asked. */
export type JobCancelledBody = {
  type: 'JobCancelled'
  /** Job it is about. */
  jobId: string
  /** Attempts that were started. */
  attempts: number
}
export type JobCancelled = FactHeader & JobCancelledBody

/** The job is given up without a result. */
export type JobFailedBody = {
  type: 'JobFailed'
  /** Job it is about. */
  jobId: string
  /** Failure code from the closed table of errors. */
  code: string
  /** Attempts that were started. */
  attempts: number
}
export type JobFailed = FactHeader & JobFailedBody

export type JobRefusedJobRefusal = 'over_cap' | 'over_max_charge' | 'unpriced' | 'queue_full' | 'resource_unknown' | 'tenant_unknown' | 'no_route' | 'key_taken' | 'unknown'
export type JobRefusedMetric = 'requests' | 'tokens' | 'money' | 'unknown'
/** Cap that was too tight. */
export type JobRefusedCapRefusal = {
  /** Cap that was too tight; of several, the first in order of id. */
  capId: string
  /** Version of the cap the decision used. */
  capVersion: bigint
  /** What is counted. */
  metric: JobRefusedMetric
  /** Limit in force. */
  limit: bigint
  /** What was free under it. */
  free: bigint
  /** What the job needed. */
  needed: bigint
  /** Start of the period. */
  periodStart: bigint
  /** When the period ends and the cap is free again; null for never. */
  resetsAt: bigint | null
}
/** The job may not run; nothing is held for it. */
export type JobRefusedBody = {
  type: 'JobRefused'
  /** Job it is about. */
  jobId: string
  /** Member (agent, staff or user) of the tenant on whose behalf the job runs; null for the tenant itself. */
  memberId: string | null
  /** What was asked for. */
  capability: string
  /** Why. */
  reason: JobRefusedJobRefusal
  /** Cap that was too tight, when that was the reason. */
  cap: JobRefusedCapRefusal | null
  /** What the job could have cost at most, when that was the reason. */
  heldPico: bigint | null
  /** Offset after the last directory record the decision had read. */
  directoryVersion: bigint
  /** Time zone the periods were computed in; null when the tenant was not known. */
  timeZone: string | null
  /** Price book the decision looked at; null when it came to none. */
  priceBookHash: string | null
}
export type JobRefused = FactHeader & JobRefusedBody

/** A job was asked for and is known from now on. */
export type JobSubmittedBody = {
  type: 'JobSubmitted'
  /** Job it is about. */
  jobId: string
  /** Member (agent, staff or user) of the tenant on whose behalf the job runs; null for the tenant itself. */
  memberId: string | null
  /** What is asked for, for example classify.category. */
  capability: string
  /** Tenant's resource the job works with, for example a label set; null when the capability needs none. */
  resourceId: string | null
  /** Model the caller insists on; null for the route's own choice. */
  model: string | null
  /** Where the payload vault keeps the input. */
  payloadRef: string
  /** Size of the input in bytes. */
  payloadBytes: bigint
  /** HMAC-SHA-256 of the input, in hex, under the payload's own key: proves the content, reveals nothing after erasure. */
  payloadMac: string
  /** 1 (most urgent) to 5; 3 is ordinary. */
  priority: number
  /** Upper bound of input tokens. */
  inputTokensMax: bigint
  /** Upper bound of output tokens; sent to the provider as its limit. */
  outputTokensMax: bigint
  /** Most the caller accepts to pay, in pico-units of the tenant's currency; null for no own limit. */
  maxCharge: bigint | null
  /** Milliseconds from admission after which the job is given up. */
  deadlineMs: bigint
}
export type JobSubmitted = FactHeader & JobSubmittedBody

/** The job has a result. */
export type JobSucceededBody = {
  type: 'JobSucceeded'
  /** Job it is about. */
  jobId: string
  /** Number of the attempt within its job, from 1. */
  attemptNo: number
  /** Id of the attempt, derived from job and number; sent to the provider as idempotency key. */
  attemptId: string
  /** Provider. */
  provider: string
  /** Model or engine version. */
  model: string
  /** Where the payload vault keeps the result. */
  resultRef: string
  /** Size of the result in bytes. */
  resultBytes: bigint
  /** HMAC-SHA-256 of the result, in hex, under the payload's own key. */
  resultMac: string
  /** Duration of the call in milliseconds. */
  durationMs: bigint
}
export type JobSucceeded = FactHeader & JobSucceededBody

export type JobsEvent = AttemptFailed | AttemptStarted | CancelRequested | JobAdmitted | JobCancelled | JobFailed | JobRefused | JobSubmitted | JobSucceeded

export type HoldExceededMetric = 'requests' | 'tokens' | 'money' | 'unknown'
/** A provider used more than it was allowed to, so a cap can stand above its limit by this much. */
export type HoldExceededBody = {
  type: 'HoldExceeded'
  /** Job it is about. */
  jobId: string
  /** What is counted. */
  metric: HoldExceededMetric
  /** What was held. */
  held: bigint
  /** What was used. */
  actual: bigint
  /** actual minus held. */
  excess: bigint
}
export type HoldExceeded = FactHeader & HoldExceededBody

export type UsageMeteredKeyOwner = 'platform' | 'tenant' | 'ancestor' | 'unknown'
export type UsageMeteredUsageSource = 'provider' | 'counted' | 'estimated' | 'absent' | 'unknown'
export type UsageMeteredMetric = 'requests' | 'tokens' | 'money' | 'unknown'
/** One hold given up, and what took its place. */
export type UsageMeteredSettlement = {
  /** Cap that held it. */
  capId: string
  /** Version of the cap the hold was taken under. */
  capVersion: bigint
  /** Start of the cap's period the hold was taken in; settlement stays in that period. */
  periodStart: bigint
  /** What is counted. */
  metric: UsageMeteredMetric
  /** Amount held until now, in the metric's unit. */
  held: bigint
  /** Amount that counts for good instead, in the metric's unit; 0 when the hold is only released. */
  settled: bigint
}
/** What a job consumed; once per job of which an attempt started. */
export type UsageMeteredBody = {
  type: 'UsageMetered'
  /** Job it is about. */
  jobId: string
  /** Member (agent, staff or user) of the tenant on whose behalf the job runs; null for the tenant itself. */
  memberId: string | null
  /** What was asked for. */
  capability: string
  /** Number of the attempt within its job, from 1. */
  attemptNo: number
  /** Id of the attempt, derived from job and number; sent to the provider as idempotency key. */
  attemptId: string
  /** Provider. */
  provider: string
  /** Model or engine version. */
  model: string
  /** Whose key was used. */
  keyOwner: UsageMeteredKeyOwner
  /** Key that was used. */
  keyId: string | null
  /** provider: it reported them; counted: counted here; estimated: the bound, because nothing better is known; absent: no attempt brought figures, all are 0. */
  source: UsageMeteredUsageSource
  /** Input tokens read in full; disjoint from the cached ones. */
  inputUncachedTokens: bigint
  /** Input tokens served from the provider's cache. */
  inputCacheReadTokens: bigint
  /** Input tokens written to the provider's cache. */
  inputCacheWriteTokens: bigint
  /** Tokens produced, reasoning included. */
  outputTokens: bigint
  /** Part of outputTokens spent on reasoning; already counted there. */
  reasoningTokens: bigint
  /** Bytes sent. */
  inputBytes: bigint
  /** Bytes received. */
  outputBytes: bigint
  /** Duration of the call in milliseconds. */
  durationMs: bigint
  /** The provider's own usage report as JSON, figures only. */
  rawUsage: string | null
  /** Tokens held for the job until now. */
  tokensHeld: bigint
  /** What this settles: the token caps. */
  settlements: UsageMeteredSettlement[]
}
export type UsageMetered = FactHeader & UsageMeteredBody

export type UsageEvent = HoldExceeded | UsageMetered

export type JobRatedJobOutcome = 'succeeded' | 'failed' | 'cancelled' | 'unknown'
export type JobRatedKeyOwner = 'platform' | 'tenant' | 'ancestor' | 'unknown'
export type JobRatedLineKind = 'request' | 'input_uncached' | 'input_cache_read' | 'input_cache_write' | 'output' | 'platform_fee' | 'max_charge_credit' | 'unknown'
/** One line of the charge. */
export type JobRatedRatedLine = {
  /** Id of the line, derived from cause, kind and revision: unique in the ledger. */
  lineId: string
  /** What is charged for. */
  kind: JobRatedLineKind
  /** How much, in the kind's unit: requests or tokens. */
  quantity: bigint
  /** Price of one unit, in pico-units of the currency. */
  pricePico: bigint
  /** quantity times price. */
  amountPico: bigint
}
export type JobRatedMetric = 'requests' | 'tokens' | 'money' | 'unknown'
/** One hold given up, and what took its place. */
export type JobRatedSettlement = {
  /** Cap that held it. */
  capId: string
  /** Version of the cap the hold was taken under. */
  capVersion: bigint
  /** Start of the cap's period the hold was taken in; settlement stays in that period. */
  periodStart: bigint
  /** What is counted. */
  metric: JobRatedMetric
  /** Amount held until now, in the metric's unit. */
  held: bigint
  /** Amount that counts for good instead, in the metric's unit; 0 when the hold is only released. */
  settled: bigint
}
/** What an admitted job that has ended costs; exactly one per such job, also at zero. */
export type JobRatedBody = {
  type: 'JobRated'
  /** Job it is about. */
  jobId: string
  /** Member (agent, staff or user) of the tenant on whose behalf the job runs; null for the tenant itself. */
  memberId: string | null
  /** What was asked for. */
  capability: string
  /** How it ended. */
  outcome: JobRatedJobOutcome
  /** Attempts that were started. */
  attempts: number
  /** ISO 4217 code of every amount. */
  currency: string
  /** Price book that was used. */
  priceBookHash: string
  /** Calendar month (YYYY-MM) in the tenant's time zone that the charge belongs to. */
  billingPeriod: string
  /** When the job was admitted: fixes period and price. */
  admittedAt: bigint
  /** The one usage fact that was rated; null when no attempt started. */
  usageEventId: string | null
  /** Provider that was rated. */
  provider: string | null
  /** Model that was rated. */
  model: string | null
  /** Whose key was used. */
  keyOwner: JobRatedKeyOwner | null
  /** What the tenant is charged, in pico-units of the currency; the sum of the lines. */
  chargedPico: bigint
  /** What the provider is expected to charge whoever owns the key; shown, not charged; null when the book does not say. */
  providerCostPico: bigint | null
  /** Lines of the charge; empty when nothing is charged. */
  lines: JobRatedRatedLine[]
  /** Money held for the job until now. */
  heldPico: bigint
  /** What this settles: the request and money caps, and token caps when no attempt started. */
  settlements: JobRatedSettlement[]
}
export type JobRated = FactHeader & JobRatedBody

export type BillingEvent = JobRated

/** One transfer that was forwarded. */
export type TransferForwardedForwardedTransfer = {
  /** Tenant that receives it. */
  toTenantId: string
  /** Which transfer from this sender to this receiver it is: gapless from 1. */
  number: bigint
}
/** The log has acknowledged that transfers of this tenant stand in the intakes of their receivers; they need not be sent again. */
export type TransferForwardedBody = {
  type: 'TransferForwarded'
  /** Which ones. */
  transfers: TransferForwardedForwardedTransfer[]
}
export type TransferForwarded = FactHeader & TransferForwardedBody

export type TransferSentTransferKind = 'rollup' | 'unknown'
/** What came to the jobs rated on one day in one billing period and currency since the last transfer; amounts are added to earlier ones. */
export type TransferSentRollupLine = {
  /** UTC day (YYYY-MM-DD) on which the jobs were rated. */
  day: string
  /** Calendar month (YYYY-MM) in the sender's time zone that the charges belong to. */
  billingPeriod: string
  /** ISO 4217 code of the amount. */
  currency: string
  /** Admitted jobs that were rated: succeeded, failed and cancelled. */
  jobs: bigint
  /** Of these, how many succeeded. */
  succeeded: bigint
  /** Of these, how many failed. */
  failed: bigint
  /** Of these, how many were cancelled. */
  cancelled: bigint
  /** Input tokens that no cache had. */
  inputUncachedTokens: bigint
  /** Input tokens read from a cache. */
  inputCacheReadTokens: bigint
  /** Input tokens written to a cache. */
  inputCacheWriteTokens: bigint
  /** Output tokens, reasoning among them. */
  outputTokens: bigint
  /** Output tokens that were spent on reasoning. */
  reasoningTokens: bigint
  /** What the sender is charged for them, in pico-units of the currency. */
  chargedPico: bigint
}
/** Something moves from one tenant to another. On its way until TransferForwarded says that it stands in the intake of the receiver. */
export type TransferSentBody = {
  type: 'TransferSent'
  /** Tenant that receives it. */
  toTenantId: string
  /** Which transfer from this sender to this receiver it is: gapless from 1. */
  number: bigint
  /** What it carries. */
  kind: TransferSentTransferKind
  /** Offset after the last directory record the owner had read: how it knew the ancestors. */
  directoryVersion: bigint
  /** What is told to an ancestor; empty when the kind is not rollup. */
  rollup: TransferSentRollupLine[]
}
export type TransferSent = FactHeader & TransferSentBody

export type TransferTakenTransferKind = 'rollup' | 'unknown'
/** What came to the jobs rated on one day in one billing period and currency since the last transfer; amounts are added to earlier ones. */
export type TransferTakenRollupLine = {
  /** UTC day (YYYY-MM-DD) on which the jobs were rated. */
  day: string
  /** Calendar month (YYYY-MM) in the sender's time zone that the charges belong to. */
  billingPeriod: string
  /** ISO 4217 code of the amount. */
  currency: string
  /** Admitted jobs that were rated: succeeded, failed and cancelled. */
  jobs: bigint
  /** Of these, how many succeeded. */
  succeeded: bigint
  /** Of these, how many failed. */
  failed: bigint
  /** Of these, how many were cancelled. */
  cancelled: bigint
  /** Input tokens that no cache had. */
  inputUncachedTokens: bigint
  /** Input tokens read from a cache. */
  inputCacheReadTokens: bigint
  /** Input tokens written to a cache. */
  inputCacheWriteTokens: bigint
  /** Output tokens, reasoning among them. */
  outputTokens: bigint
  /** Output tokens that were spent on reasoning. */
  reasoningTokens: bigint
  /** What the sender is charged for them, in pico-units of the currency. */
  chargedPico: bigint
}
/** A tenant has received what another one sent; each transfer is taken exactly once. It is caused by the TransferSent of the sender. */
export type TransferTakenBody = {
  type: 'TransferTaken'
  /** Tenant that sent it. */
  fromTenantId: string
  /** Which transfer from this sender to this receiver it is: gapless from 1. */
  number: bigint
  /** What it carries. */
  kind: TransferTakenTransferKind
  /** What is told to an ancestor; empty when the kind is not rollup. */
  rollup: TransferTakenRollupLine[]
}
export type TransferTaken = FactHeader & TransferTakenBody

export type TransfersEvent = TransferForwarded | TransferSent | TransferTaken

export type Request = IntakeEvent
export type RequestBody = AddMemberBody | EraseContentBody | IssueTokenBody | PublishPricesBody | RecordAdminActBody | RegisterLabelSetBody | RegisterTenantBody | RemoveCapBody | RemoveMemberBody | ReportErasedBody | RequestCancelBody | RevokeTokenBody | SetCapBody | SetRetentionBody | SubmitJobBody | TransferArrivedBody
export type Fact = DirectoryEvent | AccountsEvent | JobsEvent | UsageEvent | BillingEvent | TransfersEvent
export type FactBody = PriceBookPublishedBody | TenantRegisteredBody | AdminActedBody | CapRemovedBody | CapSetBody | ContentErasedBody | ErasureRequestedBody | LabelSetRegisteredBody | MemberAddedBody | MemberRemovedBody | RequestRefusedBody | RetentionSetBody | TokenIssuedBody | TokenRevokedBody | AttemptFailedBody | AttemptStartedBody | CancelRequestedBody | JobAdmittedBody | JobCancelledBody | JobFailedBody | JobRefusedBody | JobSubmittedBody | JobSucceededBody | HoldExceededBody | UsageMeteredBody | JobRatedBody | TransferForwardedBody | TransferSentBody | TransferTakenBody
export type FactType = Fact['type']
export type RequestType = Request['type']

/** Types of facts that are about no job. */
export const factTypesOfNoJob = [
  'PriceBookPublished',
  'TenantRegistered',
  'AdminActed',
  'CapRemoved',
  'CapSet',
  'ContentErased',
  'ErasureRequested',
  'LabelSetRegistered',
  'MemberAdded',
  'MemberRemoved',
  'RequestRefused',
  'RetentionSet',
  'TokenIssued',
  'TokenRevoked',
  'TransferForwarded',
  'TransferSent',
  'TransferTaken',
] as const

/** Stream of every event. */
export const streamOf = {
  AddMember: 'intake',
  EraseContent: 'intake',
  IssueToken: 'intake',
  PublishPrices: 'intake',
  RecordAdminAct: 'intake',
  RegisterLabelSet: 'intake',
  RegisterTenant: 'intake',
  RemoveCap: 'intake',
  RemoveMember: 'intake',
  ReportErased: 'intake',
  RequestCancel: 'intake',
  RevokeToken: 'intake',
  SetCap: 'intake',
  SetRetention: 'intake',
  SubmitJob: 'intake',
  TransferArrived: 'intake',
  PriceBookPublished: 'directory',
  TenantRegistered: 'directory',
  AdminActed: 'accounts',
  CapRemoved: 'accounts',
  CapSet: 'accounts',
  ContentErased: 'accounts',
  ErasureRequested: 'accounts',
  LabelSetRegistered: 'accounts',
  MemberAdded: 'accounts',
  MemberRemoved: 'accounts',
  RequestRefused: 'accounts',
  RetentionSet: 'accounts',
  TokenIssued: 'accounts',
  TokenRevoked: 'accounts',
  AttemptFailed: 'jobs',
  AttemptStarted: 'jobs',
  CancelRequested: 'jobs',
  JobAdmitted: 'jobs',
  JobCancelled: 'jobs',
  JobFailed: 'jobs',
  JobRefused: 'jobs',
  JobSubmitted: 'jobs',
  JobSucceeded: 'jobs',
  HoldExceeded: 'usage',
  UsageMetered: 'usage',
  JobRated: 'billing',
  TransferForwarded: 'transfers',
  TransferSent: 'transfers',
  TransferTaken: 'transfers',
} as const
