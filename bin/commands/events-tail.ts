/** `pf3 events tail`: facts as they are committed, of all partitions, until it is stopped or nobody reads them any more. */
import type { FactCursor } from '../../platform/log/log.ts'
import { startOfFacts } from '../../platform/log/log.ts'
import type { Fact } from '../../schemas/events.generated.ts'
import { platformTenantId } from '../../schemas/streams.ts'
import { isoFromMicros } from '../../schemas/units.ts'
import { readConfig } from '../config.ts'
import { borrowFoundation, type Foundation } from '../foundation.ts'
import { outputGone } from '../output.ts'
import { printLine, toJson } from '../print.ts'
import { readDirectory } from '../read-facts.ts'

type Given = { tenant?: string; fromStart?: boolean; json?: boolean }

const recordsMax = 500
const waitMs = 500

export async function eventsTail(given: Given): Promise<void> {
  const foundation = await borrowFoundation(readConfig(process.env))
  const stopped = new AbortController()
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => stopped.abort())
  const signal = AbortSignal.any([stopped.signal, outputGone])
  const partitions = Array.from({ length: foundation.log.partitionCount }, (_, partition) => partition)
  try {
    await Promise.all([
      noteUnknown(foundation, given),
      ...partitions.map((partition) => follow(foundation, partition, given, signal)),
    ])
  } finally {
    await foundation.close()
  }
}

/** A mistyped id would look like a tenant of which nothing happens; one that is registered later is followed all the same. */
async function noteUnknown(foundation: Foundation, { tenant }: Given): Promise<void> {
  if (tenant === undefined || tenant === platformTenantId) return
  for await (const facts of readDirectory(foundation))
    if (facts.some((fact) => fact.type === 'TenantRegistered' && fact.registeredTenantId === tenant)) return
  process.stderr.write(`No tenant ${JSON.stringify(tenant)} is known yet; its facts will follow if it is registered.\n`)
}

async function follow({ log, codec }: Foundation, partition: number, given: Given, signal: AbortSignal): Promise<void> {
  const { seq } = await log.committed(partition)
  let cursor: FactCursor = startOfFacts
  while (!signal.aborted) {
    const read = await log.readFacts(partition, cursor, { recordsMax, waitMs, signal })
    cursor = read.cursor
    for (const record of read.facts) {
      if (!given.fromStart && record.seq <= seq) continue
      const fact = codec.decode(record.value) as Fact
      if (given.tenant === undefined || fact.tenantId === given.tenant)
        printLine(given.json ? json(partition, fact) : line(partition, fact))
    }
  }
}

const json = (partition: number, { type, ...rest }: Fact): string => toJson({ partition, type, ...rest })

const line = (partition: number, fact: Fact): string =>
  `${isoFromMicros(fact.occurredAt)} ${partition}/${fact.seq} ${fact.type} ${fact.tenantId}${'jobId' in fact ? ` ${fact.jobId}` : ''}`
