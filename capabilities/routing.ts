/** Which providers may serve a job, in which order. */
import type { Provider, RouteChoice } from './capability.ts'

/** Steps of a route at most. */
export const routeStepsMax = 4

/**
 * Providers in the order they are configured, each in at most one step, so a route never comes back to where it was; empty
 * when none serves the capability with the wanted model.
 */
export function routeFor(
  capability: string,
  wantedModel: string | undefined,
  providers: readonly Provider[],
): RouteChoice[] {
  const choices = new Map<string, RouteChoice>()
  for (const provider of providers) {
    const model = choices.has(provider.name) ? undefined : provider.modelFor(capability, wantedModel)
    if (model === undefined || choices.size === routeStepsMax) continue
    choices.set(provider.name, { provider: provider.name, model, pool: provider.pool })
  }
  return [...choices.values()]
}
