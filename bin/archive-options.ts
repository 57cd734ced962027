/** How commands name an archive; apart from what opens it, so that other commands need not load that. */
import { ConfigError } from './config.ts'

export type PlaceOptions = { endpoint?: string; region?: string; pathStyle?: boolean }

export const placeOptions = [
  ['--endpoint <url>', 'of S3-compatible storage; credentials as the AWS tools take them, from the environment'],
  ['--region <name>', 'of the bucket'],
  ['--path-style', 'the bucket stands in the path of the address, not in its host'],
] as const

/** Throws ConfigError for options about an archive where none is named: what they ask for would be left undone without a word. */
export function refuseWithoutArchive(given: PlaceOptions & { archive?: string; publicKey?: string }): void {
  if (given.archive !== undefined) return
  const stray = [...placeFlags(given), ...(given.publicKey === undefined ? [] : ['--public-key'])]
  if (stray.length > 0) throw new ConfigError(stray.map((flag) => `${flag}: goes with --archive, which is not given`))
}

/** The options of a place that are given. */
export function placeFlags({ endpoint, region, pathStyle }: PlaceOptions): string[] {
  return [
    ...(endpoint === undefined ? [] : ['--endpoint']),
    ...(region === undefined ? [] : ['--region']),
    ...(pathStyle ? ['--path-style'] : []),
  ]
}
