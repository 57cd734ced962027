/** The certificate of the HTTP server, from the files that the configuration names. */
import { readFileSync } from 'node:fs'
import { createSecureContext } from 'node:tls'
import type { Config } from './config.ts'
import { ConfigError } from './config.ts'

export type CertificateFiles = Extract<Config['tls'], object>

/** PEM of both files. Throws ConfigError when one cannot be read, is none, or the key is not that of the certificate. */
export function readCertificate({ certFile, keyFile }: CertificateFiles): { cert: string; key: string } {
  const cert = textOf('PF3_TLS_CERT_FILE', certFile)
  const key = textOf('PF3_TLS_KEY_FILE', keyFile)
  try {
    createSecureContext({ cert, key })
  } catch (error) {
    throw new ConfigError([
      `PF3_TLS_CERT_FILE, PF3_TLS_KEY_FILE: a certificate and its private key in PEM were expected: ${messageOf(error)}`,
    ])
  }
  return { cert, key }
}

function textOf(name: string, path: string): string {
  try {
    return readFileSync(path, 'utf8')
  } catch (error) {
    throw new ConfigError([`${name}: ${path} cannot be read: ${messageOf(error)}`])
  }
}

const messageOf = (error: unknown): string => (error instanceof Error ? error.message : String(error))
