/**
 * What may stand beside a message: a closed list of fields, each with the form of its value. Whatever is not on the list,
 * or has another form, is left out: what tenants send, and every secret, is kept out of logs by what cannot be written.
 */
import { describeError } from './describe-error.ts'

type Field = { means: string; form: RegExp | 'number' }

export const fields = {
  correlationId: {
    form: /^[A-Za-z0-9._:-]{1,128}$/,
    means: 'The `X-Request-Id` of the request, given by its caller or made here; also in every fact it led to.',
  },
  tenantId: { form: /^[A-Za-z0-9][A-Za-z0-9._:@-]{0,99}$/, means: 'The tenant the credential belongs to.' },
  method: { form: /^[A-Z]{1,16}$/, means: 'HTTP method.' },
  route: {
    form: /^(none|\/[A-Za-z0-9{}/._:-]{0,199})$/,
    means: 'The route as the table of routes has it, without its values.',
  },
  status: { form: 'number', means: 'HTTP status of the answer.' },
  durationMs: { form: 'number', means: 'From the head of the request to the end of the answer, in milliseconds.' },
  code: { form: /^[A-Z][A-Z0-9_]{1,39}$/, means: 'Code of the problem, from the table of errors.' },
  partition: { form: 'number', means: 'Partition of the log; -1 for none.' },
  seq: { form: /^\d{1,20}$/, means: 'The fact, by its number within the partition.' },
  doing: { form: /^[A-Za-z0-9 _-]{1,160}$/, means: 'What was under way.' },
} as const satisfies Record<string, Field>

/** `error` is described without its message, which may hold what a tenant sent. */
export type LogContext = { readonly [Name in keyof typeof fields]?: string | number | undefined } & {
  readonly error?: unknown
}

/** The context as it is written. Never throws. */
export function allowedContext(context: LogContext): Record<string, unknown> {
  const allowed: Record<string, unknown> = {}
  for (const name of Object.keys(fields) as (keyof typeof fields)[]) {
    const value = context[name]
    if (fits(fields[name].form, value)) allowed[name] = value
  }
  if (context.error !== undefined) allowed['error'] = describeError(context.error)
  return allowed
}

const fits = (form: RegExp | 'number', value: unknown): boolean =>
  form === 'number'
    ? typeof value === 'number' && Number.isFinite(value)
    : typeof value === 'string' && form.test(value)
