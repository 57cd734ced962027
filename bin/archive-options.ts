/** How commands name an archive; apart from what opens it, so that other commands need not load that. */
export type PlaceOptions = { endpoint?: string; region?: string; pathStyle?: boolean }

export const placeOptions = [
  ['--endpoint <url>', 'of S3-compatible storage; credentials as the AWS tools take them, from the environment'],
  ['--region <name>', 'of the bucket'],
  ['--path-style', 'the bucket stands in the path of the address, not in its host'],
] as const
