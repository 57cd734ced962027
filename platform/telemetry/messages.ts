/** Everything PF-3 ever says in its logs: a line outside this table cannot be written. The table is also the documentation. */

export type Level = 'debug' | 'info' | 'warn' | 'error' | 'fatal'

type Message = { level: Level; means: string }

export const messages = {
  'the service is ready': { level: 'info', means: 'Every role of the process does its work.' },
  draining: { level: 'info', means: 'It was told to stop: nothing new is taken, what runs may end.' },
  stopped: { level: 'info', means: 'Everything is given up in good order; the process ends with 0.' },
  'the service could not start': { level: 'fatal', means: 'The process ends with 2 or 3; `error` says why.' },
  'a part is lost that the service cannot do without': {
    level: 'fatal',
    means: 'Database, owner or views stand still. The process ends with 3 and is to be started anew.',
  },
  'a fault that nobody handles': {
    level: 'fatal',
    means: 'A fault of PF-3 that left the process in a state nobody knows. It ends with 3 and is to be started anew.',
  },
  'Redis is away': {
    level: 'warn',
    means: 'Until it is back, waits look for what they would be told, and each process counts limits by itself.',
  },
  'Redis is back': { level: 'info', means: 'Wake-ups and limits reach across processes again.' },
  'PostgreSQL is away': {
    level: 'error',
    means:
      'Jobs that were accepted go on where they can; what needs the views or the vault waits or is refused until it is back.',
  },
  'PostgreSQL is back': { level: 'info', means: 'Views catch up with the log by themselves.' },
  'the registry is away': {
    level: 'warn',
    means: 'Everything goes on with the schemas that are known; a start with new ones would fail.',
  },
  'the registry is back': { level: 'info', means: 'New schemas can be looked up again.' },
  'the runtime warns': { level: 'warn', means: 'Node.js sees something unhealthy, such as a leak of listeners.' },
  'the certificate was read again': { level: 'info', means: 'New connections are given it from now on.' },
  'the certificate could not be read again': {
    level: 'error',
    means: 'The one in use stays. Mend the files and send SIGHUP again.',
  },
  'the partition stands still': {
    level: 'fatal',
    means: 'Its log cannot be trusted, or another owner has taken it. The process ends.',
  },
  'another process owns the partition': {
    level: 'warn',
    means: 'What was under way here for it is over. If it falls to this process again, it begins anew.',
  },
  'the brokers gave trouble': { level: 'warn', means: 'Kafka or the connection to it; it is tried again.' },
  'the owner met a fault': {
    level: 'error',
    means: 'A partition is acquired again, or a request was refused because it could not be decided.',
  },
  'views stand still': { level: 'fatal', means: 'A fact, at `seq`, cannot be taken in. The process ends.' },
  'views met a fault': { level: 'error', means: 'It is tried again; until then the views lag.' },
  'content could not be let go': {
    level: 'error',
    means: 'Keys of content whose days are over, or that is to be erased, still stand. It is tried again.',
  },
  'submissions could not be marked as appended': {
    level: 'warn',
    means: 'Their jobs run. A retry appends them again, and the second is dropped.',
  },
  'uses of tokens could not be written': { level: 'warn', means: 'It is tried again with the next.' },
  'the keys of the issuer could not be read': {
    level: 'warn',
    means: 'JWTs that need a key not yet known are refused until it can be.',
  },
  'a request could not be served': {
    level: 'warn',
    means: 'A machine did not do its part; the caller was told to come again, with the same correlation id.',
  },
  'a request failed': { level: 'error', means: 'A fault of PF-3 itself; the caller has the same correlation id.' },
  'a request was answered': { level: 'debug', means: 'One line for every request, whatever its answer.' },
} as const satisfies Record<string, Message>

export type LogMessage = keyof typeof messages

/** How long lines of a level are kept, in days, by whoever collects them; see deploy/logs/. */
export const retentionDays: Readonly<Record<Level, number>> = { fatal: 90, error: 90, warn: 90, info: 30, debug: 7 }
