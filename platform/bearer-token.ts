/** What can be a bearer token: anything else would not arrive as it was sent. */

export const tokenCharsMax = 8_192

export const isBearerToken = (text: string): boolean => text.length <= tokenCharsMax && /^[\x21-\x7e]{8,}$/.test(text)
