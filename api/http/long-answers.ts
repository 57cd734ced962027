/** Answers that a connection does not take at once: sent no faster than their callers read, and bounded together. */
import type { ServerResponse } from 'node:http'

/** What is longer goes out in pieces of this, so that no connection has a copy of all of it. */
export const pieceBytes = 64 * 1024

/** Sends the body in pieces and ends the response. Text is counted until it is read; bytes are kept anyway, for everybody. */
export type SendLong = (response: ServerResponse, body: string | Buffer) => void

/**
 * Beyond `bytesMax` of text that callers have not read, the connection of the oldest is cut: its caller has had the most
 * time for it.
 */
export function longAnswers(bytesMax: number): SendLong {
  const unread = new Map<ServerResponse, number>()
  let unreadBytes = 0

  function keep(response: ServerResponse, bytes: number): void {
    unread.set(response, bytes)
    unreadBytes += bytes
    response.once('close', () => drop(response))
    for (const oldest of unread.keys()) {
      if (unreadBytes <= bytesMax || oldest === response) break
      drop(oldest)
      oldest.req.socket.destroy()
    }
  }

  function drop(response: ServerResponse): void {
    unreadBytes -= unread.get(response) ?? 0
    unread.delete(response)
  }

  return (response, body) => {
    const bytes = typeof body === 'string' ? Buffer.from(body) : body
    if (typeof body === 'string') keep(response, bytes.length)
    let at = 0
    const goOn = (): void => {
      let hasRoom = true
      for (; hasRoom && at < bytes.length; at += pieceBytes)
        hasRoom = response.write(bytes.subarray(at, at + pieceBytes))
      if (at >= bytes.length) response.end()
    }
    response.on('drain', goOn)
    goOn()
  }
}
