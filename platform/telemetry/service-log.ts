/** The log of a running service: one JSON object a line, a known message with allowed context, nothing else. */
import pino from 'pino'
import { allowedContext, type LogContext } from './context.ts'
import { type LogMessage, messages } from './messages.ts'

/** Writes one line, or none below the level in force. Never throws for what it is given. */
export type Logger = (message: LogMessage, context?: LogContext) => void

/** `write` is given every line with its end. `level` is the least urgent that is written, or `silent`. */
export function serviceLog({ level, write }: { level: string; write: (line: string) => void }): Logger {
  const lines = pino(
    {
      level,
      base: { service: 'pf3' },
      messageKey: 'message',
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }) },
    },
    { write },
  )
  return (message, context = {}) => {
    const { level: urgency } = messages[message]
    if (lines.isLevelEnabled(urgency)) lines[urgency](allowedContext(context), message)
  }
}

/** To a file descriptor, at once: what a process says before it dies must be out. */
export function serviceLogTo(fd: number, level: string): Logger {
  const destination = pino.destination({ fd, sync: true })
  return serviceLog({ level, write: (line) => void destination.write(line) })
}
