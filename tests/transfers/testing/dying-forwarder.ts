/**
 * The victim of killed-between.test.ts: the real service, whose log kills the process by SIGKILL at the first append of a
 * transfer: before anything of it is written, or after it is, and before its sender is told. DIES says which.
 */
import { readConfig } from '../../../bin/config.ts'
import { type Foundation, openFoundation } from '../../../bin/foundation.ts'
import { roles } from '../../../bin/roles.ts'
import { startService } from '../../../bin/service.ts'
import type { Log } from '../../../platform/log/log.ts'
import { serviceLogTo } from '../../../platform/telemetry/service-log.ts'

const dies = process.env['DIES']
if (dies !== 'before' && dies !== 'after') throw new Error('DIES is before or after.')

const die = (): Promise<never> => {
  process.kill(process.pid, 'SIGKILL')
  return new Promise(() => undefined)
}

function dying({ log, codec }: Foundation): Log {
  return {
    ...log,
    async append(records) {
      const isTime = records.some(({ value }) => codec.decode(value).type === 'TransferArrived')
      if (isTime && dies === 'before') return die()
      const positions = await log.append(records)
      return isTime ? die() : positions
    },
  }
}

const config = readConfig(process.env)
const foundation = await openFoundation(config)
const logger = serviceLogTo(2, config.logLevel)
const opened = Promise.resolve({ ...foundation, log: dying(foundation) })
const { url } = await startService(config, roles, logger, opened)
process.stdout.write(`${JSON.stringify({ url })}\n`)
