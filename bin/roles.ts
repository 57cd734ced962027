/** What a process can be: any of these, side by side. */
export const roles = ['api', 'owner', 'projections'] as const
export type RoleName = (typeof roles)[number]
