/** Everything other rooms use of producers: the requests a caller can make. */
export { addMember, type MemberRequest } from './add-member.ts'
export {
  type Appended,
  type AppenderParts,
  type Caller,
  type RequestAppender,
  randomText,
  requestAppender,
} from './append-request.ts'
export { type Erased, eraseContent, reportErased } from './erase-content.ts'
export { issueToken, type TokenRequest, tokenHash } from './issue-token.ts'
export { publishPrices } from './publish-prices.ts'
export { type AdminAct, recordAdminAct } from './record-admin-act.ts'
export { type LabelSetRequest, registerLabelSet } from './register-label-set.ts'
export { registerTenant, type TenantRequest } from './register-tenant.ts'
export { removeCap } from './remove-cap.ts'
export { removeMember } from './remove-member.ts'
export { requestCancel } from './request-cancel.ts'
export { revokeToken } from './revoke-token.ts'
export { type CapRequest, setCap } from './set-cap.ts'
export { setRetention } from './set-retention.ts'
export {
  areSubmitted,
  type SubmissionKey,
  type SubmittedJob,
  submissionMigrations,
  submissionStore,
  submittedJobs,
} from './submissions.ts'
export { type JobRequest, type JobSubmitter, jobSubmitter, type Submitted } from './submit-job.ts'
