/**
 * The database port: ordinary PostgreSQL by `pg`, or PGlite behind a socket. Every statement runs in a transaction
 * under a role that is neither owner nor superuser, so row-level security always applies.
 */

export type Tx = {
  /**
   * `rowCount` is the number of rows affected or returned. Values are bound, never spliced into the text. Several may be
   * under way: they are done in the order in which they were asked for, and those of one turn cost one message.
   */
  query<Row extends Record<string, unknown>>(
    text: string,
    values?: readonly unknown[],
  ): Promise<{ rows: Row[]; rowCount: number }>
  /** For the last statement of a transaction: it is committed together with it, without a message of its own. */
  readonly last: Tx
}

export type ServiceOptions = {
  /**
   * False for what is made again when it is lost: committed without waiting for the disk, so that a crash of the server
   * may take the last half second of such transactions with it, whole, and never one that something durable came after.
   */
  isDurable?: boolean
}

/** Of every transaction: when a table was changed under its first statement, nothing was done yet, and `run` is called once more. */
export type Database = {
  /** One transaction as role `pf3_tenant`: sees the rows of `tenantId` and no others. Rolls back when `run` throws. */
  asTenant<T>(tenantId: string, run: (tx: Tx) => Promise<T>): Promise<T>
  /**
   * One transaction as role `pf3_service`: the machine's own work over all tenants (projection runner, vault, log).
   * On the embedded default an open transaction blocks all others: inside `run`, await nothing but the database.
   */
  asService<T>(run: (tx: Tx) => Promise<T>, options?: ServiceOptions): Promise<T>
  /** Schema changes, as the owner of the tables; used by migrations and rebuilds only. */
  asOwner<T>(run: (tx: Tx) => Promise<T>): Promise<T>
  close(): Promise<void>
}
