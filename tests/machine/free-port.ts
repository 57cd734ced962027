/** A place to listen on. */
import { randomInt } from 'node:crypto'
import { createServer } from 'node:net'

/**
 * Below what systems give to outgoing connections (Linux from 32,768 on, others from 49,152): one of those could be taken, by
 * a broker that calls its neighbours for instance, before whoever it is meant for listens.
 */
const [firstPort, endPort] = [15_000, 32_000]

/** A port nobody listens on. Somebody may take it before it is used: whoever needs it fails then, and says so. */
export async function freePort(): Promise<number> {
  for (;;) {
    const port = randomInt(firstPort, endPort)
    if (await canListen(port)) return port
  }
}

function canListen(port: number): Promise<boolean> {
  return new Promise((resolve, reject) => {
    const server = createServer().once('error', (error: NodeJS.ErrnoException) =>
      error.code === 'EADDRINUSE' ? resolve(false) : reject(error),
    )
    server.listen(port, '127.0.0.1', () => server.close(() => resolve(true)))
  })
}
