/** Long answers arrive whole, and those that nobody reads cost no more than there is room for. */
import { createServer, type ServerResponse } from 'node:http'
import { type AddressInfo, connect, type Socket } from 'node:net'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { longAnswers, pieceBytes } from './long-answers.ts'

const bytesMax = 40_000_000
const text = 'é'.repeat(10_000_000) // 20 MB: more than the buffers of any connection.
const bytes = Buffer.from(text)
let closed: string[]
let responses: ServerResponse[]
let sockets: Socket[]
let server: ReturnType<typeof createServer>
beforeEach(async () => {
  const send = longAnswers(bytesMax)
  const mine: string[] = [] // A connection of the test before may close late.
  closed = mine
  responses = []
  sockets = []
  server = createServer(({ url = '' }, response) => {
    responses.push(response)
    response.on('close', () => mine.push(url))
    send(response, url.startsWith('/text') ? text : bytes)
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
})
afterEach(async () => {
  for (const socket of sockets) socket.destroy()
  server.closeAllConnections()
  await new Promise((resolve) => server.close(resolve))
})

const port = (): number => (server.address() as AddressInfo).port
const get = async (path: string) => Buffer.from(await (await fetch(`http://127.0.0.1:${port()}${path}`)).arrayBuffer())

/** Asks, and reads nothing; until the server has begun with the answer. */
async function neverRead(path: string): Promise<Socket> {
  const before = responses.length
  const socket = connect(port(), '127.0.0.1').pause()
  sockets.push(socket)
  socket.on('error', () => undefined)
  socket.write(`GET ${path} HTTP/1.1\r\nHost: x\r\n\r\n`)
  await expect.poll(() => responses.length).toBe(before + 1)
  return socket
}

test.each(['/text', '/bytes'])('%s arrives whole', async (path) => {
  expect((await get(path)).equals(bytes)).toBe(true)
})

test('a connection has no more of an answer than it has room for', async () => {
  await neverRead('/bytes')
  await expect.poll(() => responses[0]?.writableNeedDrain).toBe(true)
  expect(responses[0]?.req.socket.writableLength).toBeLessThan(3 * pieceBytes)
})

test('of texts that nobody reads the oldest gives way, others are read to their end, and all is given back', async () => {
  await neverRead('/text?1')
  await neverRead('/text?2')
  expect(closed).toEqual([])
  await neverRead('/text?3')
  await expect.poll(() => closed).toEqual(['/text?1'])
  // What is kept anyway, for everybody, takes no room from others.
  for (let n = 0; n < 5; n++) await neverRead(`/bytes?${n}`)
  expect(closed).toEqual(['/text?1'])
  expect((await get('/text?4')).equals(bytes)).toBe(true)
  await expect.poll(() => closed).toEqual(['/text?1', '/text?2', '/text?4'])
  await neverRead('/text?5')
  expect(closed).toEqual(['/text?1', '/text?2', '/text?4'])
})
