/** The database port over the ordinary `pg` driver; whether a PostgreSQL or PGlite's socket answers makes no difference here. */
import { AsyncLocalStorage } from 'node:async_hooks'
import type { Socket } from 'node:net'
import pg from 'pg'
import { isFailure, PlatformError } from '../errors.ts'
import type { Database, Tx } from './database.ts'
import { serviceRole, tenantRole } from './isolation.ts'
import { plannerSetting } from './statistics.ts'

export type PoolOptions = {
  /** Where to connect: host (a directory for a UNIX socket), port, user, password, database, or a connection string. */
  connection: pg.ClientConfig
  /** Connections open at once; at least 1. A transaction beyond them waits. */
  poolMax: number
  /** A transaction waits this long for its connection, then fails with DATABASE_UNAVAILABLE. */
  connectWaitMs: number
  /** A statement may take this long, then its connection is given up and DATABASE_UNAVAILABLE reported. */
  statementWaitMs: number
  /**
   * What a tenant asks may take this long, then the server itself ends it and READ_TOO_LARGE is reported: whoever asked may have
   * gone long ago. Without sessions of its own nothing ends it: PGlite knows no time within a statement.
   */
  tenantStatementWaitMs: number
  /** As `statementWaitMs`, for schema changes and rebuilds, which run as the owner. */
  ownerStatementWaitMs: number
  /** The connections are sessions of their own, as PostgreSQL's are and PGlite's are not: one stays the service's once it was. */
  hasSessions: boolean
  /**
   * Statements are prepared once for each connection. Of the pools that share one session only one may do so: what closed
   * connections have left there it forgets when it opens the next one.
   */
  preparesStatements: boolean
}

export const poolDefaults = {
  connectWaitMs: 30_000,
  statementWaitMs: 60_000,
  tenantStatementWaitMs: 10_000,
  ownerStatementWaitMs: 600_000,
}

/** Idle connections are closed after this; the next transaction opens one again. */
const poolIdleMs = 30_000

type Transaction = { isOpen: boolean }

/** `settings`: what follows BEGIN. */
type Kind = { as: 'tenant' | 'service' | 'owner'; settings: string; statementWaitMs: number }

/** Connects lazily, with the first transaction. */
export function pooledDatabase(options: PoolOptions): Database {
  const pool = new pg.Pool({
    ...options.connection,
    types: { getTypeParser },
    max: options.poolMax,
    connectionTimeoutMillis: options.connectWaitMs,
    idleTimeoutMillis: poolIdleMs,
    application_name: 'pf3',
    pipeline: true,
  } as pg.PoolConfig)
  const names = options.preparesStatements ? statementNames() : undefined
  pool.on('connect', (client) => {
    names?.opened(client)
    const first = options.hasSessions ? `SET ${plannerSetting}` : names?.forgetOthers()
    // Goes before whatever comes first; a connection that does not take it breaks, which the statement after it reports.
    if (first !== undefined) client.query(first).catch(() => undefined)
  })
  pool.on('remove', (client) => names?.closed(client))
  // A connection that breaks while idle is replaced by the next transaction; one in use reports to its user.
  pool.on('error', () => undefined)
  const running = new AsyncLocalStorage<Transaction>()
  /** Connections whose session has the service's role: what one statement does there needs nothing around it. */
  const serving = new WeakSet<pg.PoolClient>()
  let closing: Promise<void> | undefined

  const { statementWaitMs, ownerStatementWaitMs } = options
  const kinds = {
    service: { as: 'service', settings: '', statementWaitMs },
    notDurable: { as: 'service', settings: '; SET LOCAL synchronous_commit = off', statementWaitMs },
    owner: { as: 'owner', settings: '', statementWaitMs: ownerStatementWaitMs },
  } satisfies Record<string, Kind>

  const bound = options.hasSessions ? `; SET LOCAL statement_timeout = ${options.tenantStatementWaitMs}` : ''
  const asTenant = (tenantId: string): Kind => ({
    as: 'tenant',
    settings: `; SET LOCAL ROLE ${tenantRole}; SET LOCAL pf3.tenant = ${pg.escapeLiteral(tenantId)}${bound}`,
    statementWaitMs,
  })

  /** One whose statements are of the tables as they are; those that are not, no more than were open, are given up on the way. */
  async function connect(): Promise<pg.PoolClient> {
    for (;;) {
      const client = await pool.connect().catch((error: unknown) => {
        throw new PlatformError('DATABASE_UNAVAILABLE', { during: 'connect' }, { cause: error })
      })
      if (!names?.isOutdated(client)) return client
      client.release(true)
    }
  }

  async function transact<T>(kind: Kind, run: (tx: Tx) => Promise<T>, isAgain = false): Promise<T> {
    // With one connection the inner transaction would wait for the outer one for ever.
    if (running.getStore()?.isOpen)
      throw new PlatformError('INTERNAL', { problem: 'a transaction was begun inside another' })
    const client = await connect()
    const transaction: Transaction = { isOpen: true }
    const noteError = () => undefined // The statement under way reports it; without a listener it would end the process.
    client.on('error', noteError)
    let isBroken = false
    /** Statements of `run`. */
    let asked = 0
    /** The first one was not taken, so nothing was done, and a new connection will take it. */
    let canRepeat = false

    /** What is said in one turn goes to the server together: a write costs more than most statements. */
    function corked<Result>(say: () => Result): Result {
      const { stream } = (client as pg.PoolClient & { connection: { stream: Socket } }).connection
      stream.cork()
      process.nextTick(() => stream.uncork())
      return say()
    }

    async function send(during: string, text: string, values?: readonly unknown[]): Promise<pg.QueryResult> {
      try {
        // Without values the simple protocol is used, which takes several statements at once; the last one's result counts.
        const name = values === undefined ? undefined : names?.of(client, text)
        const config = {
          text,
          query_timeout: kind.statementWaitMs,
          ...(values && { values: [...values] }),
          ...(name && { name }),
        }
        const answer: pg.QueryResult | pg.QueryResult[] = await corked(() => client.query(config))
        const last = Array.isArray(answer) ? answer.at(-1) : answer
        if (last === undefined) throw new PlatformError('INTERNAL', { problem: 'the database answered no result' })
        return last
      } catch (error) {
        if (kind.as === 'tenant' && isEndedByServer(error))
          throw new PlatformError('READ_TOO_LARGE', {}, { cause: error })
        const isOutdated = isOutdatedStatement(error)
        if (isOutdated) names?.outdate(client)
        else if (!isConnectionFailure(error)) throw error
        isBroken = true
        const problem = isOutdated ? 'what a statement was prepared for has changed' : undefined
        throw new PlatformError('DATABASE_UNAVAILABLE', { during, problem }, { cause: error })
      }
    }

    async function sendInTurn(text: string, values?: readonly unknown[]): Promise<pg.QueryResult> {
      if (!transaction.isOpen)
        throw new PlatformError('INTERNAL', { problem: 'a statement came after its transaction had ended' })
      const isFirst = ++asked === 1
      try {
        return await send('statement', text, values)
      } catch (error) {
        canRepeat ||= isFirst && isFailure(error) && isOutdatedStatement(error.cause)
        throw error
      }
    }

    let begun: Promise<pg.QueryResult> | undefined
    let committing: Promise<pg.QueryResult> | undefined
    /** A single statement, which is a transaction by itself. */
    let isAlone = false
    let hasFailed = false
    const rolledBack = () =>
      new PlatformError('INTERNAL', { problem: 'the transaction had failed and was rolled back' })

    /** Behind one another on one connection: a statement after a BEGIN that failed finds its transaction failed. */
    function begin(): Promise<pg.QueryResult> {
      const role = kind.as === 'service' && !serving.has(client) ? `; SET LOCAL ROLE ${serviceRole}` : ''
      begun ??= send('begin', `BEGIN${role}${kind.settings}`)
      begun.catch(() => undefined) // Whoever waits for the transaction is told.
      return begun
    }

    /** Before it is released: who takes it next must know whose it is. */
    async function serve(): Promise<void> {
      await send('statement', `SET ROLE ${serviceRole}`).then(
        () => serving.add(client),
        () => undefined, // Each transaction takes the role for itself, as this one did.
      )
    }

    async function query<Row>(text: string, values: readonly unknown[] | undefined, isLast: boolean) {
      if (transaction.isOpen) {
        isAlone = isLast && !begun && kind === kinds.service && serving.has(client)
        if (!isAlone) void begin()
      }
      const sent = sendInTurn(text, values)
      sent.catch(() => {
        hasFailed = true
      })
      if (isLast && transaction.isOpen) {
        transaction.isOpen = false
        if (!isAlone) {
          committing = send('commit', 'COMMIT')
          committing.catch(() => undefined) // Whoever waits for the transaction is told.
        }
      }
      const { rows, rowCount } = await sent
      return { rows: rows as Row[], rowCount: rowCount ?? 0 }
    }
    const last: Tx = {
      query: (text, values) => query(text, values, true),
      get last() {
        return last
      },
    }
    const tx: Tx = { query: (text, values) => query(text, values, false), last }

    try {
      if (kind.as === 'owner' && serving.delete(client)) {
        await send('begin', 'RESET ROLE').catch((error: unknown) => {
          isBroken = true // Whose it is now nobody knows.
          throw error
        })
      }
      const result = await running.run(transaction, () => run(tx))
      transaction.isOpen = false
      if (isAlone && hasFailed) throw rolledBack()
      if (isAlone || !begun) return result
      await begun
      const { command } = await (committing ?? send('commit', 'COMMIT'))
      // A statement failed and `run` went on as if nothing had happened: PostgreSQL then rolls back without an error.
      if (command !== 'COMMIT') throw rolledBack()
      if (kind.as === 'service' && options.hasSessions && !serving.has(client)) await serve()
      return result
    } catch (error) {
      transaction.isOpen = false
      await committing?.catch(() => undefined) // Of a statement that failed it was none.
      if (begun && !isBroken && !committing) await send('rollback', 'ROLLBACK').catch(() => (isBroken = true))
      if (!canRepeat || isAgain) throw error
    } finally {
      client.off('error', noteError)
      client.release(isBroken)
    }
    return transact(kind, run, true)
  }

  return {
    asTenant: (tenantId, run) => transact(asTenant(tenantId), run),
    asService: (run, { isDurable = true } = {}) => transact(isDurable ? kinds.service : kinds.notDurable, run),
    asOwner: (run) => transact(kinds.owner, run),
    close: () => (closing ??= pool.end()),
  }
}

/** More would be texts that are made anew each time, and every connection would keep all of them. */
const preparedMax = 200

/** The same name for the same text on the same connection, and never for another: in a shared session it would be taken. */
function statementNames() {
  const numbers = new Map<string, number>()
  const serials = new Map<pg.PoolClient, number>()
  let openedEver = 0
  let outdatedBelow = 0
  /** Opened before a statement was found outdated: others that were prepared there are likely to be so, too. */
  const isOutdated = (client: pg.PoolClient) => (serials.get(client) ?? outdatedBelow) < outdatedBelow

  function numberOf(text: string): number | undefined {
    const known = numbers.get(text)
    if (known !== undefined || numbers.size >= preparedMax) return known
    numbers.set(text, numbers.size)
    return numbers.size - 1
  }

  return {
    opened: (client: pg.PoolClient) => void serials.set(client, openedEver++),
    closed: (client: pg.PoolClient) => void serials.delete(client),
    isOutdated,
    /** Of a connection on which a statement was. */
    outdate(client: pg.PoolClient): void {
      if (!isOutdated(client)) outdatedBelow = openedEver
    },
    of(client: pg.PoolClient, text: string): string | undefined {
      const [serial, number] = [serials.get(client), numberOf(text)]
      return serial === undefined || number === undefined ? undefined : `pf3_${serial}_${number}`
    },
    /** A statement that frees what connections that are gone have prepared in the session they shared. */
    forgetOthers: () => `
      DO $$
      DECLARE gone text;
      BEGIN
        FOR gone IN
          SELECT name FROM pg_prepared_statements
          WHERE name LIKE 'pf3\\_%' AND split_part(name, '_', 2) <> ALL ('{${[...serials.values()].join()}}')
        LOOP
          EXECUTE format('DEALLOCATE %I', gone);
        END LOOP;
      END $$`,
  }
}

const int8 = 20
const int8Array = 1016

/** Eight-byte integers are bigint; numeric stays text, as the driver has it. Nothing is set globally. */
function getTypeParser(oid: number, format?: 'text' | 'binary') {
  if (format !== 'binary' && oid === int8) return BigInt
  if (format !== 'binary' && oid === int8Array) return bigintArray
  return format === undefined ? pg.types.getTypeParser(oid) : pg.types.getTypeParser(oid, format)
}

const bigintArray = (text: string): (bigint | null)[] =>
  text === '{}'
    ? []
    : text
        .slice(1, -1)
        .split(',')
        .map((item) => (item === 'NULL' ? null : BigInt(item)))

const isEndedByServer = (error: unknown): boolean => error instanceof pg.DatabaseError && error.code === '57014'

/**
 * Whether a prepared statement is of no use any more: a table got other columns, as where a view of a raised version takes
 * the place of the old one, or somebody has deallocated it. By the routine, because the message is in the server's language.
 */
const isOutdatedStatement = (error: unknown): boolean =>
  error instanceof pg.DatabaseError &&
  (error.code === '26000' || (error.code === '0A000' && error.routine === 'RevalidateCachedQuery'))

/** Where the server says that the connection, or for now the whole server, is of no use: also full, out of memory, or read-only. */
const unavailableStates = /^(08|25006|53|57P0)/

function isConnectionFailure(error: unknown): boolean {
  if (!(error instanceof Error)) return false
  const code = 'code' in error && typeof error.code === 'string' ? error.code : ''
  if (error instanceof pg.DatabaseError) return unavailableStates.test(code)
  return /^E[A-Z]+$/.test(code) || /connection|timeout|not queryable/i.test(error.message)
}
