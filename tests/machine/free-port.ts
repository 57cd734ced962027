/** A place to listen on. */
import { createServer } from 'node:net'

/** A port nobody listens on. Somebody may take it before it is used: whoever needs it fails then, and says so. */
export function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer().once('error', reject)
    server.listen(0, '127.0.0.1', () => {
      const address = server.address()
      server.close(() =>
        typeof address === 'object' && address ? resolve(address.port) : reject(new Error('no port')),
      )
    })
  })
}
