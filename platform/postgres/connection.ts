/** From the URL of a PostgreSQL server to how it is connected to: outside this machine by TLS 1.3 to a proven server, or not at all. */
import { readFileSync } from 'node:fs'
import type pg from 'pg'
import { isLoopback, tlsVersionMin } from '../tls.ts'

/** What the driver takes from the query besides, none of which weakens the connection. */
const sslNames = ['sslmode', 'sslrootcert']
const refusedNames = ['ssl', 'sslcert', 'sslkey', 'sslnegotiation', 'uselibpqcompat', 'host']

/** What is wrong with the URL, as a sentence without it, because it holds a password; undefined when nothing is. */
export function postgresUrlComplaint(url: string): string | undefined {
  if (!URL.canParse(url) || !/^postgres(ql)?:$/.test(new URL(url).protocol) || new URL(url).hostname === '')
    return 'postgres://user:password@host:port/database was expected'
  const { searchParams } = new URL(url)
  const refused = refusedNames.filter((name) => searchParams.has(name))
  if (refused.length > 0) return `its query may not have ${refused.join(', ')}`
  const mode = searchParams.get('sslmode')
  if (mode === 'verify-full' || (mode === null && staysHere(url))) return undefined
  return staysHere(url)
    ? 'sslmode=verify-full, or none on loopback, was expected'
    : 'outside loopback sslmode=verify-full was expected, and sslrootcert=<file> where the system does not know the authority'
}

/** Throws RangeError for a URL with a complaint, and what reading `sslrootcert` throws. */
export function connectionFrom(url: string): pg.ClientConfig {
  const complaint = postgresUrlComplaint(url)
  if (complaint !== undefined) throw new RangeError(`The URL of the PostgreSQL server: ${complaint}.`)
  const bare = new URL(url)
  const rootFile = bare.searchParams.get('sslrootcert')
  const isTls = bare.searchParams.get('sslmode') !== null
  for (const name of sslNames) bare.searchParams.delete(name)
  if (!isTls) return { connectionString: bare.href }
  return {
    connectionString: bare.href,
    ssl: {
      rejectUnauthorized: true,
      minVersion: tlsVersionMin,
      // The driver hands over a socket, so that without this an address would be checked against the name localhost.
      host: hostOf(url),
      ...(rootFile !== null && { ca: readFileSync(rootFile, 'utf8') }),
    },
  }
}

/** As the driver reads it: it is the driver that connects. Without one it would look in its own environment. */
const hostOf = (url: string): string => decodeURIComponent(new URL(url).hostname)

function staysHere(url: string): boolean {
  const host = hostOf(url)
  return host.startsWith('/') || isLoopback(host)
}
