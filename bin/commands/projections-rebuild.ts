/** `pf3 projections rebuild`: fills views anew from the log and puts them in the place of the live ones. */
import { systemClock } from '../../platform/clock.ts'
import { keepStatistics } from '../../platform/postgres/statistics.ts'
import { allProjections } from '../../projections/index.ts'
import { rebuildProjections, tableDigest } from '../../projections/rebuild.ts'
import { rebuildSuffix } from '../../projections/tables.ts'
import { ConfigError, readConfig } from '../config.ts'
import { borrowFoundation, type Foundation } from '../foundation.ts'
import { printLine, progress, toJson } from '../print.ts'

export type RebuiltView = {
  projection: string
  facts: bigint
  rows: bigint
  before: string
  after: string
  isEqual: boolean
}

/** Digests are taken of the old and of the new view when that has caught up; while nothing is written meanwhile they are equal. */
export async function projectionsRebuild(
  name: string | undefined,
  given: { all?: boolean; json?: boolean },
): Promise<void> {
  if (given.all && name !== undefined)
    throw new ConfigError([`projections rebuild: either --all or ${JSON.stringify(name)} was expected, not both`])
  const names = given.all ? allProjections.map((p) => p.name) : name === undefined ? [] : [name]
  const stray = names.filter((one) => !allProjections.some((p) => p.name === one))
  if (names.length === 0 || stray.length > 0) {
    throw new ConfigError([
      `projections rebuild: --all, or one of ${allProjections.map((p) => p.name).join(', ')} was expected`,
    ])
  }
  const foundation = await borrowFoundation(readConfig(process.env))
  const wanted = allProjections.filter((p) => names.includes(p.name))
  // What is filled from nothing is looked up meanwhile, and perhaps no service runs that would do it.
  const stopStatistics = keepStatistics(foundation.database, systemClock)
  const bar = progress('facts')
  try {
    let [before, after]: Map<string, Digest>[] = []
    const rebuilt = await rebuildProjections(names, {
      ...foundation,
      async beforeSwap() {
        ;[before, after] = await Promise.all([digests(foundation, wanted), digests(foundation, wanted, rebuildSuffix)])
      },
      onWait: () => void process.stderr.write('Another rebuild is under way; this one begins when that has ended.\n'),
      onProgress: ({ factsDone, factsTotal }) => bar.to(Number(factsDone), Number(factsTotal)),
    })
    bar.end()
    print(
      rebuilt.map(({ projection, facts }) => {
        const [old, made] = [before?.get(projection), after?.get(projection)]
        return {
          projection,
          facts,
          rows: made?.rows ?? 0n,
          before: old?.sha256 ?? '',
          after: made?.sha256 ?? '',
          isEqual: old !== undefined && old.sha256 === made?.sha256,
        }
      }),
      given.json === true,
    )
  } finally {
    await stopStatistics()
    await foundation.close()
  }
}

type Digest = Awaited<ReturnType<typeof tableDigest>>

/** `suffix`: of the tables' names. */
async function digests(
  { database }: Foundation,
  wanted: typeof allProjections,
  suffix = '',
): Promise<Map<string, Digest>> {
  const found = wanted.map(async ({ name, table, keyColumns }) => {
    const digest = await tableDigest(database, { table: table + suffix, keyColumns })
    return [name, digest] as const
  })
  return new Map(await Promise.all(found))
}

function print(rebuilt: readonly RebuiltView[], isJson: boolean): void {
  if (isJson) printLine(toJson(rebuilt))
  else
    for (const view of rebuilt)
      printLine(
        `${view.projection}: ${view.rows} rows from ${view.facts} facts, ${view.isEqual ? 'equal to' : 'different from'} the view before`,
      )
}
