/** What tells clients that an operation is on its way out, long before it goes (RFC 9745 and RFC 8594). */

/** Days as YYYY-MM-DD, UTC. `successor`: path of what takes its place. */
export type Deprecation = { since: string; sunset: string; successor?: string }

export const deprecationHeaders = ({ since, sunset, successor }: Deprecation): Record<string, string> => ({
  Deprecation: `@${Date.parse(`${since}T00:00:00Z`) / 1_000}`,
  Sunset: new Date(`${sunset}T00:00:00Z`).toUTCString(),
  ...(successor !== undefined && { Link: `<${successor}>; rel="successor-version"` }),
})
