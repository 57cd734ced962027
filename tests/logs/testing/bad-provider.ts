/** A provider that quotes: every way to fail, each with the text it is given in its answer. */
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'

export type BadProvider = { baseUrl: string; calls(): number; close(): Promise<void> }

/** What the prompt begins with chooses the answer. */
const answers: Record<string, (text: string) => { status: number; body: string }> = {
  reject: (text) => ({ status: 400, body: JSON.stringify({ error: { message: text, type: text, code: text } }) }),
  deny: (text) => ({ status: 401, body: JSON.stringify({ error: { message: `Incorrect API key: ${text}` } }) }),
  fail: (text) => ({ status: 500, body: `<html>${text}</html>` }),
  garble: (text) => ({ status: 200, body: `{"choices":[{"message":{"content":"${text}` }),
  empty: (text) => ({ status: 200, body: JSON.stringify({ choices: [], note: text }) }),
}

export async function startBadProvider(plant: (where: string) => string): Promise<BadProvider> {
  let calls = 0
  const server = createServer((request, response) => {
    const chunks: Buffer[] = []
    request.on('data', (chunk: Buffer) => chunks.push(chunk))
    request.on('end', () => {
      calls += 1
      const asked = Buffer.concat(chunks).toString('utf8')
      const [kind = 'fail', answer = answers['fail']] =
        Object.entries(answers).find(([name]) => asked.includes(`"${name} `)) ?? []
      const { status, body } = answer?.(plant(`answer of a provider: ${kind}`)) ?? { status: 500, body: '' }
      response.setHeader('X-Reason', plant(`header of a provider: ${kind}`))
      response.writeHead(status, { 'Content-Type': 'application/json' }).end(body)
    })
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return {
    baseUrl: `http://127.0.0.1:${(server.address() as AddressInfo).port}/v1`,
    calls: () => calls,
    close() {
      server.closeAllConnections()
      return new Promise((resolve) => server.close(() => resolve()))
    },
  }
}

export const badPrompts = Object.keys(answers)
