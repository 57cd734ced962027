/** One map key for several texts. Length-prefixed, never joined: parts may hold any character. */
export const tuple = (first: string, second: string): string => `${first.length}:${first}${second}`
