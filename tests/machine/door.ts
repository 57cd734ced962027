/** Stands before a server, and can be shut: connections break, and nobody is let in until it is opened again. */
import { createConnection, createServer, type Server, type Socket } from 'node:net'
import { freePort } from './free-port.ts'

export type Door = {
  /** Where it listens, instead of the server behind it. */
  port: number
  open(): Promise<void>
  shut(): Promise<void>
}

/** Opened. `url`: of the server behind it; without a port in it, `portDefault`. */
export async function startDoor(url: string, portDefault = 80): Promise<Door> {
  const { hostname: host, port: behind } = new URL(url)
  const port = await freePort()
  const sockets = new Set<Socket>()
  let server: Server | undefined

  function pass(near: Socket): void {
    const far = createConnection({ host, port: Number(behind || portDefault) })
    for (const [one, other] of [
      [near, far],
      [far, near],
    ] as const) {
      sockets.add(one)
      one.pipe(other)
      one
        .on('error', () => other.destroy())
        .on('close', () => {
          sockets.delete(one)
          other.destroy()
        })
    }
  }

  const open = async () => {
    const made = createServer(pass)
    server = made
    await new Promise<void>((resolve, reject) => made.once('error', reject).listen(port, '127.0.0.1', resolve))
  }
  await open()
  return {
    port,
    open,
    async shut() {
      const closing = server
      server = undefined
      for (const socket of sockets) socket.destroy()
      await new Promise<void>((resolve) => (closing ? closing.close(() => resolve()) : resolve()))
    },
  }
}

/** `url` with the port of a door. */
export function through(url: string, door: Door): string {
  const changed = new URL(url)
  changed.port = String(door.port)
  return changed.href
}
