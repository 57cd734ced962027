/** Asks that all content of a tenant be erased, and says that it was. */
import type { Random } from '../platform/clock.ts'
import { idFrom } from '../schemas/ids.ts'
import { type Appended, type Caller, type RequestAppender, randomText } from './append-request.ts'

/** What is stored until the erasure is carried out goes with it. */
export async function eraseContent(
  appender: RequestAppender,
  random: Random,
  caller: Caller,
  { tenantId }: { tenantId: string },
): Promise<Appended & { erasureId: string }> {
  const erasureId = idFrom('era', tenantId, randomText(random))
  return { ...(await appender.append(caller, { type: 'EraseContent', tenantId, erasureId })), erasureId }
}

export type Erased = { tenantId: string; erasureId: string; keys: bigint; payloads: bigint }

/** Said again, it is refused with `erasure_unknown`: the first word stands. */
export const reportErased = (appender: RequestAppender, caller: Caller, erased: Erased): Promise<Appended> =>
  appender.append(caller, { type: 'ReportErased', ...erased })
