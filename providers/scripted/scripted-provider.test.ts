import { execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { expect, onTestFinished, test } from 'vitest'
import type { Rule } from './script.ts'
import { type ScriptedProviderOptions, startScriptedProvider } from './scripted-provider.ts'

async function start(options: ScriptedProviderOptions) {
  const provider = await startScriptedProvider(options)
  onTestFinished(() => provider.close())
  const ask = (prompt: string, headers: Record<string, string> = {}) =>
    fetch(`${provider.baseUrl}/chat/completions`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', ...headers },
      body: JSON.stringify({ model: 'm', messages: [{ role: 'user', content: prompt }], max_completion_tokens: 9 }),
    })
  return { provider, ask }
}
/** Status of the answer to each prompt, one after the other. */
async function statuses(script: Rule[], prompts: string[], headers: Record<string, string> = {}, seed = 1) {
  const { ask } = await start({ script, seed })
  const found: number[] = []
  for (const prompt of prompts) found.push((await ask(prompt, headers)).status)
  return found
}

test('without a script it answers the prompt in capital letters, and says what that took', async () => {
  const { ask } = await start({})
  expect(await (await ask('hello there')).json()).toMatchObject({
    model: 'm',
    choices: [{ message: { content: 'HELLO THERE' }, finish_reason: 'stop' }],
    usage: { prompt_tokens: 3, completion_tokens: 3, total_tokens: 6 },
  })
})

test('the first rule that fits is taken, as often as it says', async () => {
  const script = [{ promptHas: 'other', status: 500 }, { times: 2, status: 429 }, { status: 503 }]
  expect(await statuses(script, ['a', 'other', 'a', 'a'])).toEqual([429, 500, 429, 503])
})

test('a rule can be for the nth call, for a key, for a header', async () => {
  expect(await statuses([{ nth: 2, status: 500 }], ['a', 'a', 'a'])).toEqual([200, 500, 200])
  expect(await statuses([{ keyHas: 'att_7', status: 500 }], ['a'], { 'idempotency-key': 'att_7x' })).toEqual([500])
  expect(await statuses([{ keyHas: 'att_7', status: 500 }], ['a'], { 'idempotency-key': 'att_8' })).toEqual([200])
  const headerHas = { name: 'authorization', text: 'wrong' }
  expect(await statuses([{ headerHas, status: 401 }], ['a'], { authorization: 'Bearer wrong' })).toEqual([401])
  expect(await statuses([{ headerHas, status: 401 }], ['a'], { authorization: 'Bearer right' })).toEqual([200])
})

test('a share is drawn from the seed: the same again, another with another seed', async () => {
  const prompts = Array.from({ length: 60 }, () => 'a')
  const [first, again, other] = [
    await statuses([{ share: 0.5, status: 500 }], prompts, {}, 7),
    await statuses([{ share: 0.5, status: 500 }], prompts, {}, 7),
    await statuses([{ share: 0.5, status: 500 }], prompts, {}, 8),
  ]
  expect(again).toEqual(first)
  expect(other).not.toEqual(first)
  const failed = first.filter((status) => status === 500).length
  expect(failed).toBeGreaterThan(15)
  expect(failed).toBeLessThan(45)
})

test('headers, usage and whole bodies are what the script says', async () => {
  const { provider, ask } = await start({})
  provider.play([{ status: 429, retryAfter: '7', headers: { 'x-limit': '3' } }])
  const limited = await ask('a')
  expect([limited.headers.get('retry-after'), limited.headers.get('x-limit')]).toEqual(['7', '3'])
  provider.play([{ usage: { prompt: 90, completion: 8, cached: 5, reasoning: 2 } }])
  expect(await (await ask('a')).json()).toMatchObject({
    usage: {
      prompt_tokens: 90,
      prompt_tokens_details: { cached_tokens: 5 },
      completion_tokens_details: { reasoning_tokens: 2 },
    },
  })
  provider.play([{ usage: null }])
  expect(await (await ask('a')).json()).not.toHaveProperty('usage')
  provider.play([{ body: 'as it is' }])
  expect(await (await ask('a')).text()).toBe('as it is')
})

test('it can break in every way', async () => {
  const { provider, ask } = await start({})
  provider.play([{ breaks: 'malformed' }])
  await expect((await ask('a')).json()).rejects.toThrow(SyntaxError)
  provider.play([{ breaks: 'empty' }])
  expect(await (await ask('a')).json()).toEqual({ choices: [] })
  provider.play([{ breaks: 'reset' }])
  await expect(ask('a')).rejects.toThrow('fetch failed')
  provider.play([{ breaks: 'cut' }])
  const cut = await ask('a')
  expect(cut.status).toBe(200)
  await expect(cut.text()).rejects.toThrow('terminated')
  provider.play([{ breaks: 'hang' }])
  const silent = ask('a').then(
    () => 'answered',
    () => 'hung up',
  )
  expect(await Promise.race([silent, new Promise((resolve) => setTimeout(resolve, 100, 'silent'))])).toBe('silent')
  await provider.close()
  expect(await silent).toBe('hung up')
})

test('closing does not wait for a slow answer', async () => {
  const { provider, ask } = await start({ script: [{ latencyMs: 600_000 }] })
  const slow = ask('a').catch(() => 'hung up')
  while (provider.callCount() === 0) await new Promise((resolve) => setTimeout(resolve, 5))
  await provider.close()
  expect(await slow).toBe('hung up')
  await provider.close()
})

test('it remembers who called, and who called twice', async () => {
  const { provider, ask } = await start({ script: [{ nth: 1, status: 500 }] })
  for (const key of ['att_1', 'att_2', 'att_1']) await ask('p'.repeat(2_000), { 'idempotency-key': key })
  expect(provider.callCount()).toBe(3)
  expect(provider.calls()[0]).toEqual({ attemptId: 'att_1', prompt: 'p'.repeat(1_000), model: 'm', maxTokens: 9 })
  expect(provider.repeatedAttemptIds()).toEqual(['att_1'])
})

test('an idempotent one answers a key it knows as before, also with an error; others it answers anew', async () => {
  const script = [
    { times: 1, status: 500 },
    { times: 1, text: 'second' },
  ]
  const { ask } = await start({ script, isIdempotent: true })
  const say = async (key: string) => {
    const answer = await ask('a', { 'idempotency-key': key })
    return [answer.status, answer.headers.get('idempotent-replayed')]
  }
  expect(await say('att_1')).toEqual([500, null])
  expect(await say('att_1')).toEqual([500, 'true'])
  expect(await say('att_2')).toEqual([200, null])
  expect(await say('att_2')).toEqual([200, 'true'])
})

test('what is no chat completion request is refused', async () => {
  const { provider } = await start({})
  const post = async (path: string, body: string) =>
    (await fetch(`${provider.baseUrl}${path}`, { method: 'POST', body })).status
  expect(await post('/embeddings', '{}')).toBe(404)
  expect(await post('/chat/completions', 'no JSON')).toBe(400)
  expect(await post('/chat/completions', '{"model":"m"}')).toBe(400)
  expect(await post('/chat/completions', 'x'.repeat(9 * 1_048_576))).toBe(400)
  expect((await fetch(provider.baseUrl)).status).toBe(404)
  expect(provider.callCount()).toBe(0)
})

const main = join(import.meta.dirname, 'main.ts')

test('as a program it plays a script file until it is told to stop', async () => {
  const directory = mkdtempSync(join(tmpdir(), 'pf3-scripted-'))
  onTestFinished(() => rmSync(directory, { recursive: true }))
  const file = join(directory, 'script.json')
  writeFileSync(file, JSON.stringify({ seed: 3, isIdempotent: true, rules: [{ status: 418 }] }))
  const program = spawn(process.execPath, [main, '0', file])
  const [line] = (await once(program.stdout, 'data')) as [Buffer]
  const baseUrl = /^PF3_SCRIPTED_URL=(http:\S+)\n$/.exec(line.toString())?.[1]
  const body = JSON.stringify({ model: 'm', messages: [{ content: 'a' }] })
  expect((await fetch(`${baseUrl}/chat/completions`, { method: 'POST', body })).status).toBe(418)
  const ended = once(program, 'exit')
  program.kill('SIGTERM')
  expect(await ended).toEqual([0, null])
})

test('as a program it says what is wrong with a script file', async () => {
  const directory = mkdtempSync(join(tmpdir(), 'pf3-scripted-'))
  onTestFinished(() => rmSync(directory, { recursive: true }))
  const file = join(directory, 'script.json')
  writeFileSync(file, JSON.stringify([{ status: 'teapot' }]))
  await expect(promisify(execFile)(process.execPath, [main, '0', file])).rejects.toMatchObject({
    code: 2,
    stderr: expect.stringContaining('status'),
  })
})
