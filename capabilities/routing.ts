/** Which providers may serve a job, in which order. */
import type { Provider, RouteChoice } from './capability.ts'

/** Steps of a route; each provider stands in it at most once, so it has no cycles. */
export const routeStepsMax = 4

/** Providers in the order they are configured; empty when none serves the capability with the wanted model. */
export function routeFor(
  capability: string,
  wantedModel: string | undefined,
  providers: readonly Provider[],
): RouteChoice[] {
  return providers
    .flatMap((provider): RouteChoice[] => {
      const model = provider.modelFor(capability, wantedModel)
      return model === undefined ? [] : [{ provider: provider.name, model, pool: provider.pool }]
    })
    .slice(0, routeStepsMax)
}
