/** `pf3 start`: the service, until it is told to stop. */
import { isFailure, PlatformError } from '../../platform/errors.ts'
import { type Logger, serviceLogTo } from '../../platform/telemetry/service-log.ts'
import { ConfigError, readConfig } from '../config.ts'
import { openFoundation } from '../foundation.ts'
import { type RoleName, roles } from '../roles.ts'
import type { Service } from '../service.ts'

/** Everything is stopped by then; without anything left the process ends by itself, and at once. */
const lingerMs = 1_000

/**
 * SIGTERM or SIGINT drains and ends with 0; a second one ends at once. When database, owner or views
 * stand still, the process ends with 3, for whoever supervises it to start anew.
 */
export async function start(given: { roles: string; json?: boolean }): Promise<void> {
  const wanted = rolesFrom(given.roles)
  const config = readConfig(process.env)
  const logger = serviceLogTo(2, config.logLevel)
  logOwnDeath(logger)
  // The database starts in a thread of its own while the rest of the code is loaded.
  const opening = openFoundation(config, (what) => logger('the brokers gave trouble', { doing: inLetters(what) }))
  opening.catch(() => undefined) // Reported where it is awaited.
  const { startService } = await import('../service.ts')
  const service = await startService(config, wanted, logger, opening).catch((error: unknown) => {
    logger('the service could not start', { error })
    throw toldInPlainWords(error)
  })
  logger('the service is ready')
  const stopped = toldToStop() // From here on, before anybody is told: whoever hears of it may stop it in the same moment.
  await announce(service, wanted, config.dataDir, given.json === true)

  // Without a certificate it ends the process, as a terminal that closes means it to.
  if (typeof config.tls === 'object') process.on('SIGHUP', () => renewCertificate(service, logger))
  const lost = await Promise.race([stopped, service.lost])
  if (lost) {
    // At once, and without draining: whoever starts anew recovers as after any death of the process.
    logger('a part is lost that the service cannot do without', { error: lost })
    process.exit(3)
  }
  logger('draining')
  await service.stop()
  logger('stopped')
  // A client of kafkajs that did not take its leave in time may still hold a connection, which would hold the process.
  setTimeout(() => process.exit(), lingerMs).unref()
}

/** What the library says, in the form that a log may have it. */
const inLetters = (what: string): string => what.replace(/[^A-Za-z0-9 _-]+/g, ' ').slice(0, 160)

/** Resolves with the first signal; the second one ends the process. */
const toldToStop = (): Promise<void> =>
  new Promise((resolve) => {
    let isStopping = false
    for (const signal of ['SIGTERM', 'SIGINT'] as const) {
      process.on(signal, () => {
        if (isStopping) process.exit(130)
        isStopping = true
        resolve()
      })
    }
  })

/** Otherwise Node.js would write error and warning as they are, with whatever their messages quote. */
function logOwnDeath(logger: Logger): void {
  process.on('uncaughtException', (error) => {
    logger('a fault that nobody handles', { error })
    process.exit(3)
  })
  process.removeAllListeners('warning')
  process.on('warning', (error) => logger('the runtime warns', { error }))
}

/** What a person at a terminal reads: the sentences of PF-3 and of the operating system, which quote no input. */
const toldInPlainWords = (error: unknown): unknown =>
  error instanceof ConfigError || isFailure(error) || (error instanceof Error && 'syscall' in error)
    ? error
    : new PlatformError('INTERNAL', {}, { cause: error })

function renewCertificate(service: Pick<Service, 'renewCertificate'>, logger: Logger): void {
  try {
    service.renewCertificate()
    logger('the certificate was read again')
  } catch (error) {
    logger('the certificate could not be read again', { error })
  }
}

function rolesFrom(text: string): RoleName[] {
  const wanted = text.split(',').map((role) => role.trim())
  const stray = wanted.filter((role) => !(roles as readonly string[]).includes(role))
  if (stray.length > 0 || wanted.length === 0)
    throw new ConfigError([`--roles: some of ${roles.join(', ')} were expected, not ${JSON.stringify(text)}`])
  return roles.filter((role) => wanted.includes(role))
}

async function announce(
  { url, rootToken }: Pick<Service, 'url' | 'rootToken'>,
  wanted: readonly RoleName[],
  dataDir: string,
  isJson: boolean,
): Promise<void> {
  const isShown = await written(
    isJson
      ? `${JSON.stringify({ ready: true, url, roles: wanted, dataDir, pid: process.pid, ...(rootToken && { rootToken: rootToken.token }) })}\n`
      : `PF-3 is ready at ${url} (${wanted.join(', ')}; data in ${dataDir}).\n${rootToken ? `Root token, shown only this once: ${rootToken.token}\n` : ''}`,
  )
  if (isShown) await rootToken?.keep()
}

/** False when nobody reads any more. */
const written = (text: string): Promise<boolean> =>
  new Promise((resolve) => process.stdout.write(text, (error) => resolve(!error)))
