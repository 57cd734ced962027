/**
 * The socket server hands PGlite one message at a time, and a statement with values is five of them. Here those before
 * the Sync are kept until it comes and run with it: a fifth of the calls and answers, and no other connection's statement
 * can come between them.
 */
import type { PGlite } from '@electric-sql/pglite'

/** Parse, Bind, Describe, Execute and Close: nobody is owed an answer before the Sync or Flush that follows. */
const heldTypes = new Set([...'PBDEC'].map((type) => type.charCodeAt(0)))

/** Changes what the socket server calls: while messages are kept, it is told of an open transaction, so that it sends nobody else's. */
export function runWholeStatements(db: PGlite): void {
  const run = db.execProtocolRawStream.bind(db)
  const isInTransaction = db.isInTransaction.bind(db)
  const exec = db.exec.bind(db)
  const held: Uint8Array[] = []

  db.execProtocolRawStream = async (message, options) => {
    if (heldTypes.has(message[0] ?? 0)) held.push(message)
    else await run(Buffer.concat([...held.splice(0), message]), options)
  }
  db.isInTransaction = () => held.length > 0 || isInTransaction()
  // The server calls it with ROLLBACK for a client that left in the middle: what it had not finished is not run.
  db.exec = (sql, options) => {
    held.length = 0
    return exec(sql, options)
  }
}
