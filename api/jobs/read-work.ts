/** From what a caller asks for to work that can be bounded, priced and routed. */
import { type Bounds, type Capability, capabilityNamed, type RouteChoice, routeFor } from '../../capabilities/index.ts'
import type { Principal } from '../auth/principal.ts'
import { fieldErrors } from '../http/field-errors.ts'
import { invalid, Problem } from '../http/problem.ts'
import type { Parts } from '../parts.ts'
import { unknownCapability } from '../unknown-capability.ts'

export type Work = {
  capability: Capability
  input: unknown
  params: unknown
  model: string | undefined
  resourceId: string | undefined
  bounds: Bounds
  /** Steps that can serve it here, in order; empty when nobody can. */
  steps: RouteChoice[]
}

type AskedWork = { capability: string; input?: unknown; params?: unknown; model?: string | undefined }

/** Throws REQUEST_INVALID for an unknown capability, and for input and params that are not as it wants them, with places below `where`. */
export function readWork(asked: AskedWork, { providers }: Pick<Parts, 'providers'>, where = 'body'): Work {
  const capability = capabilityNamed(asked.capability)
  if (!capability) throw invalid(unknownCapability(`${where}.capability`))
  const input = capability.inputSchema.safeParse(asked.input, { reportInput: true })
  const params = capability.paramsSchema.safeParse(asked.params ?? {}, { reportInput: true })
  if (!input.success || !params.success) {
    throw invalid(
      ...(input.error ? fieldErrors(`${where}.input`, input.error) : []),
      ...(params.error ? fieldErrors(`${where}.params`, params.error) : []),
    )
  }
  return {
    capability,
    input: input.data,
    params: params.data,
    model: asked.model,
    resourceId: capability.resourceOf(params.data),
    bounds: capability.bounds({ input: input.data, params: params.data }),
    steps: routeFor(capability.name, asked.model, providers),
  }
}

/** The member a job is for: the token's own, or the one a tenant admin names. Throws FORBIDDEN. */
export function memberOf({ memberId, role }: Principal, named: string | undefined): string | null {
  if (named === undefined || named === memberId) return memberId
  if (memberId === null && role === 'tenant-admin') return named
  throw new Problem('FORBIDDEN', {
    detail: 'Only a token of a tenant admin that speaks for no member itself may name a member.',
  })
}
