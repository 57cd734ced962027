/** Figures of the door for Prometheus. Labels are routes and statuses, never tenants: those would be secrets and without bound. */
import { Counter, Gauge, Histogram, Registry } from 'prom-client'

export type ApiMetrics = {
  registry: Registry
  began(): void
  /** `route`: the path as the route table has it, or `none`. */
  ended(request: { method: string; route: string; status: number; durationMs: number }): void
}

const durationBucketsS = [0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60]

export function apiMetrics(registry = new Registry()): ApiMetrics {
  const registers = [registry]
  const requests = new Counter({
    name: 'pf3_http_requests_total',
    help: 'Requests answered, by route and status.',
    labelNames: ['method', 'route', 'status'],
    registers,
  })
  const durations = new Histogram({
    name: 'pf3_http_request_duration_seconds',
    help: 'Time from the head of a request to its answer; waiting for a job is part of it.',
    labelNames: ['method', 'route'],
    buckets: durationBucketsS,
    registers,
  })
  const underWay = new Gauge({ name: 'pf3_http_requests_under_way', help: 'Requests not answered yet.', registers })
  return {
    registry,
    began: () => underWay.inc(),
    ended({ method, route, status, durationMs }) {
      underWay.dec()
      requests.inc({ method, route, status })
      durations.observe({ method, route }, durationMs / 1_000)
    },
  }
}
