/** More jobs than a service can take, sent at an even pace whatever it answers: what became of each. */
import { Agent, request } from 'node:http'

export type FloodOptions = {
  url: string
  token: string
  /** Submissions a second, sent whether or not earlier ones were answered. */
  perS: number
  forMs: number
  /** After which a client gives up, in milliseconds. */
  patienceMs: number
}

export type Flood = {
  sent: number
  /** Ids of the jobs that were accepted. */
  accepted: string[]
  /** Told to come again, with Retry-After. */
  refused: number
  /** Anything else: other answers, no answer in time, a broken connection. */
  others: Map<string, number>
  answeredMs: number[]
}

const everyMs = 10
const job = JSON.stringify({ capability: 'classify.sentiment', input: { text: 'A fine day, all in all.' } })

export async function flood({ url, token, perS, forMs, patienceMs }: FloodOptions): Promise<Flood> {
  const agent = new Agent({ keepAlive: true, maxSockets: 20_000 })
  const found: Flood = { sent: 0, accepted: [], refused: 0, others: new Map(), answeredMs: [] }
  const underWay = new Set<Promise<void>>()
  const startedAt = performance.now()
  for (let elapsed = 0; elapsed < forMs; elapsed = performance.now() - startedAt) {
    const due = Math.floor((elapsed / 1_000) * perS)
    for (; found.sent < due; found.sent++) {
      const one = submit().finally(() => underWay.delete(one))
      underWay.add(one)
    }
    await new Promise((resolve) => setTimeout(resolve, everyMs))
  }
  await Promise.all(underWay)
  agent.destroy()
  return found

  async function submit(): Promise<void> {
    const sentAt = performance.now()
    const { status, retryAfter, text } = await post()
    found.answeredMs.push(performance.now() - sentAt)
    if (status === '202') found.accepted.push((JSON.parse(text) as { id: string }).id)
    else if ((status === '429' || status === '503') && Number(retryAfter) > 0) found.refused += 1
    else found.others.set(status, (found.others.get(status) ?? 0) + 1)
  }

  function post(): Promise<{ status: string; retryAfter: string | undefined; text: string }> {
    return new Promise((resolve) => {
      const failed = (status: string) => resolve({ status, retryAfter: undefined, text: '' })
      const sent = request(
        `${url}/v1/jobs`,
        {
          method: 'POST',
          agent,
          timeout: patienceMs,
          headers: {
            authorization: `Bearer ${token}`,
            'content-type': 'application/json',
            'content-length': Buffer.byteLength(job),
          },
        },
        (response) => {
          let text = ''
          response.setEncoding('utf8').on('data', (part: string) => (text += part))
          response.on('error', () => failed('cut off'))
          response.on('end', () =>
            resolve({ status: String(response.statusCode), retryAfter: response.headers['retry-after'], text }),
          )
        },
      )
      sent.on('timeout', () => {
        failed('no answer in time')
        sent.destroy()
      })
      sent.on('error', (error: NodeJS.ErrnoException) => failed(error.code ?? error.message))
      sent.end(job)
    })
  }
}
