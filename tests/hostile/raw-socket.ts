/** Bytes on a socket as no client would send them, and what comes back. */
import { connect } from 'node:net'

export type Heard = {
  status: number
  /** Lower-case names. */
  headers: Record<string, string>
  body: string
  /** The body as problem details, when it is one. */
  problem: { code?: string; detail?: string; status?: number; errors?: { where: string }[] }
  /** All that was heard, of every answer. */
  text: string
}

const patienceMs = 20_000

/**
 * Sends the parts one after the other, each after `gapMs`, and hears until the other side closes. Ends with what was
 * heard also when the other side cuts the connection off. With `hearsAfterMs` it does not listen before, as a caller that is busy sending.
 */
export function speak(
  port: number,
  parts: Iterable<string | Buffer>,
  {
    gapMs = 0,
    endsAfter = false,
    hearsAfterMs = 0,
  }: { gapMs?: number; endsAfter?: boolean; hearsAfterMs?: number } = {},
): Promise<Heard> {
  return new Promise((resolve, reject) => {
    const socket = connect(port, '127.0.0.1')
    let text = ''
    let isOver = false
    let goOn = () => {}
    const giveUp = setTimeout(() => {
      socket.destroy()
      reject(new Error(`The other side never closed; heard: ${text.slice(0, 1_000)}`))
    }, patienceMs)
    socket.setEncoding('utf8')
    const hear = () => socket.on('data', (chunk: string) => (text += chunk))
    if (hearsAfterMs === 0) hear()
    else setTimeout(hear, hearsAfterMs)
    socket.on('error', () => undefined) // Cut off: what was heard before counts.
    socket.on('close', () => {
      isOver = true
      goOn()
      clearTimeout(giveUp)
      resolve(heardIn(text))
    })
    socket.on('connect', async () => {
      for (const part of parts) {
        if (isOver) return
        if (!socket.write(part)) {
          await new Promise<void>((go) => {
            goOn = go
            socket.once('drain', go)
          })
        }
        if (gapMs > 0) await new Promise((go) => setTimeout(go, gapMs))
      }
      if (endsAfter) socket.end()
    })
  })
}

function heardIn(text: string): Heard {
  const [head = '', ...rest] = text.split('\r\n\r\n')
  const [first = '', ...lines] = head.split('\r\n')
  const headers = Object.fromEntries(
    lines.map((line) => {
      const at = line.indexOf(':')
      return [line.slice(0, at).toLowerCase(), line.slice(at + 1).trim()]
    }),
  )
  const body = rest.join('\r\n\r\n').slice(0, Number(headers['content-length'] ?? 0))
  const problem = headers['content-type'] === 'application/problem+json' ? (JSON.parse(body) as Heard['problem']) : {}
  return { status: Number(first.split(' ')[1] ?? 0), headers, body, problem, text }
}
