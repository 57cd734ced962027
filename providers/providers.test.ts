import { afterAll, expect, test } from 'vitest'
import { capabilities, routeFor } from '../capabilities/index.ts'
import { providersFor } from './index.ts'

const endpoint = (name: string) => ({
  name,
  baseUrl: 'https://api.example.com/v1',
  apiKey: 'k',
  models: ['small', 'large'],
})
const local = { threads: 1, cacheBytesMax: 1 }
const providers = providersFor({ local, openAiCompatible: [endpoint('scripted'), endpoint('spare')] })
afterAll(() => Promise.all(providers.map((provider) => provider.close())))

test('together they serve every capability, text by the endpoints in their order', () => {
  const routes = capabilities.map(({ name }) => [name, routeFor(name, undefined, providers)])
  expect(Object.fromEntries(routes)).toEqual({
    'classify.category': [{ provider: 'local', model: 'linear-1', pool: 'local' }],
    'classify.sentiment': [{ provider: 'local', model: 'vader-1', pool: 'local' }],
    'generate.text': [
      { provider: 'scripted', model: 'small', pool: 'remote' },
      { provider: 'spare', model: 'small', pool: 'remote' },
    ],
  })
})

test('without endpoints nobody writes text', () => {
  expect(routeFor('generate.text', undefined, providersFor({ local, openAiCompatible: [] }))).toEqual([])
})

test('a name belongs to one provider', () => {
  expect(() => providersFor({ local, openAiCompatible: [endpoint('a'), endpoint('a')] })).toThrow('called a')
  expect(() => providersFor({ local, openAiCompatible: [endpoint('local')] })).toThrow('called local')
})
