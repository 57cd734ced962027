import { afterAll, beforeAll } from 'vitest'
import { connectToSocket, type EmbeddedDatabase, openEmbeddedDatabase } from '../postgres/embedded.ts'
import { embeddedLogContract } from './testing/embedded-contract.ts'

let opened: EmbeddedDatabase
beforeAll(async () => {
  opened = await openEmbeddedDatabase()
}, 60_000)
afterAll(() => opened.close())

embeddedLogContract('the log on PGlite', {
  database: () => opened,
  another: async () => connectToSocket(opened.socketDir),
})
