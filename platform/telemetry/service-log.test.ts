import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { PlatformError } from '../errors.ts'
import { fields, type LogContext } from './context.ts'
import { type LogMessage, messages, retentionDays } from './messages.ts'
import { serviceLog } from './service-log.ts'

const secret = 'canary-9f2c'

function logged(level: string, ...calls: readonly [LogMessage, LogContext?][]): Record<string, unknown>[] {
  const lines: string[] = []
  const logger = serviceLog({ level, write: (line) => lines.push(line) })
  for (const [message, context] of calls) logger(message, context)
  return lines.map((line) => JSON.parse(line) as Record<string, unknown>)
}

const only = (context: object): Record<string, unknown> => {
  const [line = {}] = logged('debug', ['a request failed', context as LogContext])
  return line
}

test('a line has time, level, service, message, and the context that is allowed', () => {
  const context = { correlationId: 'req-1', tenantId: 'shop', route: '/v1/jobs/{id}', status: 500, durationMs: 1.5 }
  expect(only(context)).toEqual({
    time: expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/),
    level: 'error',
    service: 'pf3',
    message: 'a request failed',
    ...context,
  })
})

test('every field is written as it is when it has its form', () => {
  const sound = {
    correlationId: 'a.b:c_d-1',
    tenantId: 'shop@eu:1',
    method: 'GET',
    route: 'none',
    status: 200,
    durationMs: 0,
    code: 'INTERNAL',
    partition: -1,
    seq: '12345678901234567890',
    doing: 'deciding SubmitJob at intake offset 7',
  }
  expect(Object.keys(sound)).toEqual(Object.keys(fields))
  expect(only(sound)).toMatchObject(sound)
})

test.each([
  ['a field that is not on the list', { prompt: secret }],
  ['a field that is not on the list, deep', { headers: { authorization: secret } }],
  ['a correlation id with a space', { correlationId: `${secret} ` }],
  ['an object as a tenant id', { tenantId: { secret } }],
  ['a route with values', { route: `/v1/jobs?cursor=${secret}` }],
  ['text as a status', { status: secret }],
  ['a code in small letters', { code: secret }],
  ['a sentence with marks', { doing: `reading {"${secret}"}` }],
  ['text as an error', { error: secret }],
  ['the message of an error', { error: new SyntaxError(`Unexpected token in "${secret}"`) }],
  ['a message that looks like a frame', { error: new Error(`x\n    at file:///${secret}:1:1`) }],
  ['the name of an error', { error: Object.assign(new Error('x'), { name: secret }) }],
  [
    'further fields of an error',
    { error: Object.assign(new Error('x'), { detail: `Key (id)=(${secret})`, code: secret }) },
  ],
  ['facts of a failure', { error: new PlatformError('INTERNAL', { cause: secret, projection: `${secret}1` }) }],
  ['a cause', { error: new Error('x', { cause: new Error(secret) }) }],
  ['a cause that is no error', { error: new Error('x', { cause: { secret } }) }],
  [
    'an error that throws when it is read',
    {
      error: Object.defineProperty(new Error('x'), 'name', {
        get: () => {
          throw new Error(secret)
        },
      }),
    },
  ],
])('left out: %s', (_, context) => expect(JSON.stringify(only(context))).not.toContain(secret))

test('an error is told by class, codes, places in the code and numbers, with its causes', () => {
  const cause = Object.assign(new Error('no'), { code: '23505', table: 'job', constraint: 'job_pkey' })
  const error = new PlatformError('LOG_GAP', { partition: 3, committed: 9n, stream: 'jobs', key: secret }, { cause })
  const at = expect.arrayContaining([expect.stringMatching(/^platform\/telemetry\/service-log\.test\.ts:\d+:\d+$/)])
  expect(only({ error })['error']).toEqual({
    type: 'PlatformError',
    code: 'LOG_GAP',
    facts: { partition: 3, committed: '9', stream: 'jobs' },
    at,
    cause: { type: 'Error', code: '23505', table: 'job', constraint: 'job_pkey', at },
  })
})

test('causes without end come to one', () => {
  const error = new Error('x')
  error.cause = error
  expect(JSON.stringify(only({ error })).match(/"type"/g)).toHaveLength(4)
})

test('the level in force holds back what is less urgent', () => {
  const all: [LogMessage][] = (Object.keys(messages) as LogMessage[]).map((message) => [message])
  const levels = (level: string) => new Set(logged(level, ...all).map((line) => line['level']))
  expect(levels('debug')).toEqual(new Set(['debug', 'info', 'warn', 'error', 'fatal']))
  expect(levels('warn')).toEqual(new Set(['warn', 'error', 'fatal']))
  expect(levels('silent').size).toBe(0)
})

test('the documented contract is the one in the code (UPDATE_DOCS=1 writes it)', () => {
  const page = join(import.meta.dirname, '../../docs/reference/logs.md')
  const start = '<!-- tables -->\n'
  const text = readFileSync(page, 'utf8')
  const formOf = (form: RegExp | string) =>
    form instanceof RegExp ? `\`${form.source.replaceAll('|', '\\|')}\`` : form
  const wanted = [
    text.slice(0, text.indexOf(start)) + start.trimEnd(),
    '## Levels\n',
    '| level | kept, days |\n| --- | --- |',
    ...Object.entries(retentionDays).map(([level, days]) => `| ${level} | ${days} |`),
    '\n## Context\n',
    '| field | form | means |\n| --- | --- | --- |',
    ...Object.entries(fields).map(([name, { form, means }]) => `| \`${name}\` | ${formOf(form)} | ${means} |`),
    '\n## Messages\n',
    '| message | level | means |\n| --- | --- | --- |',
    ...Object.entries(messages).map(([message, { level, means }]) => `| ${message} | ${level} | ${means} |`),
    '',
  ].join('\n')
  if (process.env.UPDATE_DOCS === '1') writeFileSync(page, wanted)
  else expect(text).toBe(wanted)
})
