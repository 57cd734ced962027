/** docs/reference/capabilities.md is written from the capabilities' own validators, and its examples are sent. */
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { z } from 'zod'
import { type Capability, capabilities, capabilityNamed } from '../../capabilities/index.ts'
import { openTenant, type Service, startService } from '../testing/service.ts'

const page = join(import.meta.dirname, '../../docs/reference/capabilities.md')

const examples: Readonly<Record<string, { input: object; params?: object }>> = {
  'classify.category': { input: { text: 'The bread was wonderful.' }, params: { labelSetId: 'reviews' } },
  'classify.sentiment': { input: { text: 'What a good day.' } },
  'generate.text': { input: { prompt: 'Thank a guest for a good review.' }, params: { maxOutputTokens: 200 } },
}
const labelSet = {
  labels: ['praise', 'complaint'],
  examples: [
    { text: 'The bread was wonderful.', label: 'praise' },
    { text: 'Nobody answered the telephone.', label: 'complaint' },
  ],
}

let service: Service
let tenant: Awaited<ReturnType<typeof openTenant>>
beforeAll(async () => {
  service = await startService()
  tenant = await openTenant(service, 'harbor')
  ;(await tenant.admin.put('/v1/label-sets/reviews', labelSet)).expect(200)
  service.scripted.play([{ text: 'Thank you.' }])
})
afterAll(() => service.stop())

test('the page says of every capability what its validators say (UPDATE_DOCS=1 writes it)', () => {
  const start = '<!-- capabilities -->\n'
  const text = readFileSync(page, 'utf8')
  const wanted = text.slice(0, text.indexOf(start) + start.length) + capabilities.map(sectionOf).join('')
  if (process.env.UPDATE_DOCS === '1') writeFileSync(page, wanted)
  else expect(text).toBe(wanted)
})

test.each(capabilities.map(({ name }) => name))(
  'the example of %s runs, and its result is as described',
  async (name) => {
    const job = (await tenant.submitter.post('/v1/jobs?wait=30', { capability: name, ...examples[name] })).expect(200)
    expect(job).toMatchObject({ status: 'succeeded' })
    expect(capabilityNamed(name)?.resultSchema.safeParse(job['result'])).toMatchObject({ success: true })
  },
)

function sectionOf(capability: Capability): string {
  const { name, means, inputSchema, paramsSchema, resultSchema } = capability
  const example = examples[name]
  const params = paramsSchema.parse(example?.params ?? {})
  const { inputTokensMax, outputTokensMax } = capability.bounds({ input: example?.input, params })
  return [
    `\n## ${name}\n`,
    `${means}\n`,
    '| field | | form | means |\n| --- | --- | --- | --- |',
    ...rowsOf('input', inputSchema, 'input'),
    ...rowsOf('params', paramsSchema, 'input'),
    ...rowsOf('result', resultSchema, 'output'),
    `\n\`\`\`json\n${JSON.stringify({ capability: name, ...example }, null, 2)}\n\`\`\`\n`,
    `At most ${inputTokensMax} input and ${outputTokensMax} output tokens are held for this job.\n`,
  ].join('\n')
}

type Field = {
  type?: string
  description?: string
  pattern?: string
  enum?: string[]
  minimum?: number
  maximum?: number
  default?: unknown
}

function rowsOf(place: string, form: z.ZodType, io: 'input' | 'output'): string[] {
  const schema = z.toJSONSchema(form, { io })
  const fields = Object.entries(schema.properties ?? {}) as [string, Field][]
  const isNeeded = (field: string) => (schema.required?.includes(field) ? 'required' : 'optional')
  return fields.map(
    ([name, field]) =>
      `| \`${place}.${name}\` | ${io === 'output' ? 'answer' : isNeeded(name)} | ${formOf(field)} | ${field.description ?? ''} |`,
  )
}

function formOf({ type = 'any', pattern, enum: values, minimum, maximum, default: otherwise }: Field): string {
  return [
    values ? values.map((value) => `\`${value}\``).join(', ') : type,
    ...(pattern === undefined ? [] : [`\`${pattern}\``]),
    ...(minimum === undefined ? [] : [`${minimum} to ${maximum}`]),
    ...(otherwise === undefined ? [] : [`${otherwise} when left out`]),
  ].join(', ')
}
