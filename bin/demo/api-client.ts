/** A plain HTTP client of the PF-3 API, as anybody could write one: kept-alive connections, JSON, retries on failure. */
import { Agent, request as httpRequest } from 'node:http'

export type Reply = { status: number; body: unknown }
export type Asked = {
  method: 'GET' | 'POST' | 'PUT' | 'DELETE'
  path: string
  body?: unknown
  headers?: Readonly<Record<string, string>>
}

export type ApiClient = {
  /** One request. Rejects when there is no answer. */
  ask(token: string, asked: Asked): Promise<Reply>
  /** One request that has to be answered with 2xx; throws with the problem otherwise. */
  mustAsk<Body>(token: string, asked: Asked): Promise<Body>
  close(): void
}

/** `url` is asked for at every request: a service that was started again may be elsewhere. */
export function apiClient(url: () => string, connectionsMax: number): ApiClient {
  const agent = new Agent({ keepAlive: true, maxSockets: connectionsMax })

  function ask(token: string, { method, path, body, headers }: Asked): Promise<Reply> {
    const bytes = body === undefined ? undefined : Buffer.from(JSON.stringify(body))
    return new Promise((resolve, reject) => {
      const sent = httpRequest(
        `${url()}${path}`,
        {
          method,
          agent,
          headers: {
            authorization: `Bearer ${token}`,
            ...(bytes && { 'content-type': 'application/json', 'content-length': bytes.length }),
            ...headers,
          },
        },
        (response) => {
          const chunks: Buffer[] = []
          response.on('data', (chunk: Buffer) => chunks.push(chunk))
          response.on('error', reject)
          response.on('end', () => {
            const text = Buffer.concat(chunks).toString('utf8')
            const isJson = (response.headers['content-type'] ?? '').includes('json')
            // A body that was cut off by a dying service is no answer.
            if (!response.complete) return reject(new Error('The answer was cut off.'))
            resolve({
              status: response.statusCode ?? 0,
              body: isJson && text !== '' ? (JSON.parse(text) as unknown) : text,
            })
          })
        },
      )
      sent.on('error', reject)
      sent.end(bytes)
    })
  }

  return {
    ask,
    async mustAsk<Body>(token: string, asked: Asked): Promise<Body> {
      const { status, body } = await ask(token, asked)
      if (status < 200 || status > 299)
        throw new Error(`${asked.method} ${asked.path} was answered with ${status}: ${JSON.stringify(body)}`)
      return body as Body
    },
    close: () => agent.destroy(),
  }
}

/** Runs `work` for every item, at most `atOnceMax` at a time, in the order of the items. Rejects with the first failure. */
export async function inParallel<Item>(
  items: Iterable<Item>,
  atOnceMax: number,
  work: (item: Item) => Promise<void>,
): Promise<void> {
  const rest = items[Symbol.iterator]()
  async function lane(): Promise<void> {
    for (let item = rest.next(); !item.done; item = rest.next()) await work(item.value)
  }
  await Promise.all(Array.from({ length: atOnceMax }, lane))
}
