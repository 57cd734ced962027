/** Leads every request to the processor that answers it. Pure: everything a decision looks at comes in. */
import type { Request } from '../schemas/events.generated.ts'
import {
  decideAddMember,
  decideEraseContent,
  decideIssueToken,
  decideRecordAdminAct,
  decideRegisterLabelSet,
  decideRemoveMember,
  decideReportErased,
  decideRevokeToken,
  decideSetRetention,
} from './accounts/decide.ts'
import { isAnswered } from './admission/answered.ts'
import { type AdmissionContext, decideRemoveCap, decideSetCap, decideSubmitJob } from './admission/decide.ts'
import { decidePublishPrices, decideRegisterTenant } from './directory/decide.ts'
import type { Directory } from './directory/state.ts'
import { type Decided, decideCancel } from './execution/decide.ts'
import { isPriority } from './execution/fair-queue.ts'
import type { RouteStep } from './execution/state.ts'
import type { PartitionState } from './partition-state.ts'
import type { Draft, Moment } from './processor.ts'
import { decideTransferArrived } from './transfers/decide.ts'

export type RequestContext = Moment & {
  /** The directory as far as this owner has read it. */
  directory: Directory
  directoryVersion: bigint
  /** Steps that can serve a capability here, in order; empty when nobody can. */
  routeFor(capability: string, model: string | null): readonly RouteStep[]
  openJobsPerTenantMax: number
  /** Of all tenants of the partition: bounds what its owner keeps in memory. */
  openJobsPerPartitionMax: number
  attemptsMax: number
  weightOf(tenantId: string): number
}

/** A request that was answered before gets nothing: its first answer stands. Throws for one that no door lets in. */
export function decideRequest(request: Request, state: PartitionState, context: RequestContext): Decided {
  const { accounts, admission, execution } = state
  if (request.type === 'TransferArrived') return { facts: decideArrived(request, state, context) }
  if (isAnswered(admission.answered, request.requestId)) return { facts: [] }
  const { directory } = context
  switch (request.type) {
    case 'RegisterTenant':
      return { facts: decideRegisterTenant(request, state.directory) }
    case 'PublishPrices':
      return { facts: decidePublishPrices(request, state.directory) }
    case 'IssueToken':
      return { facts: decideIssueToken(request, accounts, directory, context) }
    case 'RevokeToken':
      return { facts: decideRevokeToken(request, accounts) }
    case 'AddMember':
      return { facts: decideAddMember(request, accounts, directory) }
    case 'RemoveMember':
      return { facts: decideRemoveMember(request, accounts, context) }
    case 'RecordAdminAct':
      return { facts: decideRecordAdminAct(request, directory) }
    case 'SetRetention':
      return { facts: decideSetRetention(request, directory) }
    case 'EraseContent':
      return { facts: decideEraseContent(request, accounts, directory) }
    case 'ReportErased':
      return { facts: decideReportErased(request, accounts) }
    case 'RegisterLabelSet':
      return { facts: decideRegisterLabelSet(request, accounts, directory, context) }
    case 'SetCap':
      return { facts: decideSetCap(request, admission, directory, context) }
    case 'RemoveCap':
      return { facts: decideRemoveCap(request, admission) }
    case 'SubmitJob':
      if (!isPriority(request.priority)) throw new RangeError(`Priority ${request.priority} is not 1 to 5.`)
      return { facts: decideSubmitJob(request, admission, admissionContext(request, state, context)) }
    case 'RequestCancel':
      return decideCancel(execution, request)
  }
}

/** Its number says whether it was taken. One that was refused can be taken later, but is not refused again. */
function decideArrived(
  request: Extract<Request, { type: 'TransferArrived' }>,
  { transfers, admission }: PartitionState,
  { directory }: RequestContext,
): Draft[] {
  const drafts = decideTransferArrived(request, transfers, directory)
  const isRefused = drafts.some(({ type }) => type === 'RequestRefused')
  return isRefused && isAnswered(admission.answered, request.requestId) ? [] : drafts
}

function admissionContext(
  request: Extract<Request, { type: 'SubmitJob' }>,
  state: PartitionState,
  context: RequestContext,
): AdmissionContext {
  const { tenantId, resourceId } = request
  return {
    now: context.now,
    directory: context.directory,
    directoryVersion: context.directoryVersion,
    route: context.routeFor(request.capability, request.model),
    resourceHash: resourceId === null ? null : state.accounts.labelSets.get(tenantId)?.get(resourceId),
    isQueueFull:
      (state.execution.openByTenant.get(tenantId) ?? 0) >= context.openJobsPerTenantMax ||
      state.execution.jobs.size >= context.openJobsPerPartitionMax,
    attemptsMax: context.attemptsMax,
    schedulingWeight: context.weightOf(tenantId),
  }
}
