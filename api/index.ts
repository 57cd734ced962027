/** Everything other rooms use of api. */
export { healthRoutes } from './health/routes.ts'
export type { Calendar, Readiness } from './parts.ts'
export { routeTable } from './route-table.ts'
export { type Api, type ApiOptions, startApi } from './start-api.ts'
