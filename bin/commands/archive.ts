/** `pf3 archive`: puts what is in the log into the archive, or checks what is there. */
import { archivePartition, archiveReader, publicKeyOf } from '../../platform/archive/archive.ts'
import { isFailure } from '../../platform/errors.ts'
import { readOwnSchemas } from '../../schemas/own-schemas.ts'
import type { PlaceOptions } from '../archive-options.ts'
import { archivedPartitions, archivePublicKey, archiveSigner, archiveStore } from '../archive-place.ts'
import { readConfig } from '../config.ts'
import { borrowFoundation } from '../foundation.ts'
import { printLine, toJson } from '../print.ts'
import { readAllFacts } from '../read-facts.ts'

type Given = PlaceOptions & { json?: boolean }

/** Goes on after what is there; says the public key, which checks it anywhere. */
export async function archiveWrite(given: Given & { to: string }): Promise<void> {
  const config = readConfig(process.env)
  const store = archiveStore(given.to, given)
  const foundation = await borrowFoundation(config)
  try {
    const signer = await archiveSigner(config)
    const partitions = foundation.log.partitionCount
    const done: { partition: number; segments: number; facts: number; seq: bigint }[] = []
    for (let partition = 0; partition < partitions; partition++) {
      const parts = { store, signer, ownSchemas: readOwnSchemas() }
      const after = (seq: bigint) => readAllFacts(foundation, partition, { afterSeq: seq })
      done.push({ partition, ...(await archivePartition(parts, { partition, partitions }, after)) })
    }
    const publicKey = publicKeyOf(signer).export({ format: 'pem', type: 'spki' }).toString()
    if (given.json) return printLine(toJson({ place: store.place, publicKey, partitions: done }, 2))
    const facts = done.reduce((sum, one) => sum + one.facts, 0)
    const segments = done.reduce((sum, one) => sum + one.segments, 0)
    printLine(`${facts} facts in ${segments} segments are new in ${store.place}. They are checked with this key:`)
    printLine(publicKey.trimEnd())
  } finally {
    await foundation.close()
    await store.close()
  }
}

/**
 * Reads everything: signatures, hashes, the chain, every fact. Ends with 1 when something is not as it was signed. Throws
 * ConfigError when there is nothing: what was emptied, or is another place, must not pass for what was signed.
 */
export async function archiveCheck(given: Given & { from: string; publicKey?: string }): Promise<void> {
  const publicKey = await archivePublicKey(readConfig(process.env), given.publicKey)
  const store = archiveStore(given.from, given)
  try {
    const reader = archiveReader({ store, publicKey, ownSchemas: readOwnSchemas() })
    const partitions = await archivedPartitions(reader, store, '--from')
    const found: { partition: number; facts: number }[] = []
    for (let partition = 0; partition < partitions; partition++) {
      let facts = 0
      for await (const segment of reader.facts(partition)) facts += segment.length
      found.push({ partition, facts })
    }
    if (given.json) return printLine(toJson({ place: store.place, partitions: found }, 2))
    printLine(`${found.reduce((sum, one) => sum + one.facts, 0)} facts in ${store.place} are as they were signed.`)
  } catch (error) {
    if (!isFailure(error, 'ARCHIVE_DAMAGED')) throw error
    printLine(error.message)
    process.exitCode = 1
  } finally {
    await store.close()
  }
}
