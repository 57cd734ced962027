/** Asks that a label set be used from now on. Its content goes to the vault first: the log never holds it. */
import type { PayloadVault } from '../platform/vault/vault.ts'
import type { RegisterLabelSetBody } from '../schemas/events.generated.ts'
import { idFrom } from '../schemas/ids.ts'
import type { Appended, Caller, RequestAppender } from './append-request.ts'

export type LabelSetRequest = { tenantId: string } & Pick<
  RegisterLabelSetBody,
  'labelSetId' | 'hash' | 'labelCount' | 'exampleCount'
> & {
    /** The canonical content that `hash` is of. */
    content: Uint8Array
  }

/** The same content has the same place in the vault, so a repeated request keeps one copy. */
export async function registerLabelSet(
  appender: RequestAppender,
  vault: PayloadVault,
  caller: Caller,
  { content, ...labelSet }: LabelSetRequest,
): Promise<Appended> {
  const { tenantId, hash } = labelSet
  const payloadRef = idFrom('set', tenantId, hash)
  await vault.put([{ tenantId, ref: payloadRef, class: 'kept', content }])
  return appender.append(caller, {
    type: 'RegisterLabelSet',
    ...labelSet,
    payloadRef,
    payloadBytes: BigInt(content.byteLength),
  })
}
