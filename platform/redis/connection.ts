/** From the URL of a Redis server to how it is connected to: outside this machine by TLS 1.3 to a proven server, or not at all. */
import type { RedisOptions } from 'ioredis'
import { isLoopback, tlsVersionMin } from '../tls.ts'

export type RedisAddress = {
  url: string
  /** PEM of the authority that the server's certificate is proven by; undefined for those the system knows. */
  ca?: string | undefined
}

/** Replies come in their older form, which is the default of the driver. */
export type ConnectOptions = Omit<RedisOptions, 'replyMapping'>

const portDefault = 6_379

/** What is wrong with the URL, as a sentence without it, because it holds a password; undefined when nothing is. */
export function redisUrlComplaint(url: string): string | undefined {
  const found = read(url)
  if (found === undefined)
    return 'redis://user:password@host:port/database was expected, or rediss:// for TLS, without a query'
  if (found.isTls || isLoopback(found.host)) return undefined
  return 'outside loopback rediss:// was expected, and PF3_REDIS_CA_FILE where the system does not know the authority'
}

/** Whether the URL asks for TLS; what is no URL does not. */
export const isTlsUrl = (url: string): boolean => read(url)?.isTls ?? false

/** Throws RangeError for a URL with a complaint. */
export function redisOptionsFrom({ url, ca }: RedisAddress): ConnectOptions {
  const complaint = redisUrlComplaint(url)
  const found = read(url)
  if (complaint !== undefined || !found) throw new RangeError(`The URL of the Redis server: ${complaint}.`)
  const { isTls, host, port, username, password, database } = found
  return {
    host,
    port,
    db: database,
    ...(username !== '' && { username }),
    ...(password !== '' && { password }),
    ...(isTls && { tls: { minVersion: tlsVersionMin, rejectUnauthorized: true, ...(ca !== undefined && { ca }) } }),
  }
}

type Read = { isTls: boolean; host: string; port: number; username: string; password: string; database: number }

/** The driver would take any option of its own from a query, weaker ones of TLS too: so there is none. */
function read(text: string): Read | undefined {
  if (!URL.canParse(text)) return undefined
  const { protocol, hostname, port, username, password, pathname, search, hash } = new URL(text)
  const database = /^\/?(?<number>\d{0,4})$/.exec(pathname)?.groups?.['number']
  const isWhole = /^rediss?:$/.test(protocol) && hostname !== '' && database !== undefined
  if (!isWhole || search !== '' || hash !== '' || (username !== '' && password === '')) return undefined
  try {
    return {
      isTls: protocol === 'rediss:',
      host: decodeURIComponent(hostname).replace(/^\[(.*)\]$/, '$1'),
      port: port === '' ? portDefault : Number(port),
      username: decodeURIComponent(username),
      password: decodeURIComponent(password),
      database: Number(database),
    }
  } catch {
    return undefined // A percent sign that encodes nothing.
  }
}
