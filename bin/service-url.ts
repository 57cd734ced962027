/** Where a service answers, for whoever is to open it. */
import type { Config } from './config.ts'

export const serviceUrl = ({ host, tls }: Pick<Config, 'host' | 'tls'>, port: number): string =>
  `${typeof tls === 'object' ? 'https' : 'http'}://${hostAndPort(host, port)}`

/** An IPv6 address has brackets there, or the port would be a part of it. */
export const hostAndPort = (host: string, port: number): string => `${host.includes(':') ? `[${host}]` : host}:${port}`
