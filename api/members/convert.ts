/** Members between the API and the rest. A member has no name here: what stands in facts cannot be forgotten. */
import { z } from 'zod'
import type { Member } from '../../projections/member-list/queries.ts'
import { isoFromMicros } from '../../schemas/units.ts'
import { next, time } from '../http/forms.ts'

const kinds = ['agent', 'staff', 'user'] as const
export const memberBody = z.strictObject({ kind: z.enum(kinds) })
export const memberReply = z.strictObject({
  id: z.string(),
  kind: z.enum([...kinds, 'unknown']),
  addedAt: time,
  addedBy: z.string(),
})
export const membersReply = z.strictObject({ members: z.array(memberReply), next })

export const toApiMember = ({ memberId, kind, addedAt, addedBy }: Member): z.infer<typeof memberReply> => ({
  id: memberId,
  kind,
  addedAt: isoFromMicros(addedAt),
  addedBy,
})
