/** `pf3 projections rebuild`: fills views anew from the log and puts them in the place of the live ones. */
import { allProjections } from '../../projections/index.ts'
import { rebuildProjection, tableDigest } from '../../projections/rebuild.ts'
import { ConfigError, readConfig } from '../config.ts'
import { borrowFoundation } from '../foundation.ts'
import { printLine, progress, toJson } from '../print.ts'

export type RebuiltView = {
  projection: string
  facts: bigint
  rows: bigint
  before: string
  after: string
  isEqual: boolean
}

/** Digests are taken before and after; while nothing is written meanwhile they are equal. */
export async function projectionsRebuild(
  name: string | undefined,
  given: { all?: boolean; json?: boolean },
): Promise<void> {
  const names = given.all ? allProjections.map((p) => p.name) : name === undefined ? [] : [name]
  const stray = names.filter((one) => !allProjections.some((p) => p.name === one))
  if (names.length === 0 || stray.length > 0) {
    throw new ConfigError([
      `projections rebuild: --all, or one of ${allProjections.map((p) => p.name).join(', ')} was expected`,
    ])
  }
  const foundation = await borrowFoundation(readConfig(process.env))
  const rebuilt: RebuiltView[] = []
  try {
    for (const projection of allProjections.filter((p) => names.includes(p.name))) {
      const bar = progress(projection.name)
      const before = await tableDigest(foundation.database, projection)
      const { facts } = await rebuildProjection(projection.name, {
        ...foundation,
        onProgress: ({ factsDone, factsTotal }) => bar.to(Number(factsDone), Number(factsTotal)),
      })
      const after = await tableDigest(foundation.database, projection)
      bar.end()
      rebuilt.push({
        projection: projection.name,
        facts,
        rows: after.rows,
        before: before.sha256,
        after: after.sha256,
        isEqual: before.sha256 === after.sha256,
      })
    }
  } finally {
    await foundation.close()
  }
  if (given.json) printLine(toJson(rebuilt))
  else
    for (const view of rebuilt)
      printLine(
        `${view.projection}: ${view.rows} rows from ${view.facts} facts, ${view.isEqual ? 'equal to' : 'different from'} the view before`,
      )
}
