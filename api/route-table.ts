/** The one table of routes: requests are served by it, and whatever describes the API is made from it. */
import { auditRoutes } from './audit/routes.ts'
import { billingRoutes } from './billing/routes.ts'
import { capRoutes } from './caps/routes.ts'
import { estimateRoutes } from './estimate/routes.ts'
import { healthRoutes } from './health/routes.ts'
import { jobRoutes } from './jobs/routes.ts'
import { labelSetRoutes } from './label-sets/routes.ts'
import { memberRoutes } from './members/routes.ts'
import { openApiRoutes } from './openapi/routes.ts'
import { priceBookRoutes } from './price-books/routes.ts'
import { retentionRoutes } from './retention/routes.ts'
import { rollupRoutes } from './rollups/routes.ts'
import type { Route } from './route.ts'
import { tenantRoutes } from './tenants/routes.ts'
import { tokenRoutes } from './tokens/routes.ts'
import { usageRoutes } from './usage/routes.ts'

const operations: readonly Route[] = [
  ...tenantRoutes,
  ...tokenRoutes,
  ...memberRoutes,
  ...retentionRoutes,
  ...capRoutes,
  ...priceBookRoutes,
  ...labelSetRoutes,
  ...estimateRoutes,
  ...jobRoutes,
  ...usageRoutes,
  ...rollupRoutes,
  ...billingRoutes,
  ...auditRoutes,
  ...healthRoutes,
]

export const routeTable: readonly Route[] = [...operations, ...openApiRoutes(() => routeTable)]
