/** Headers of every answer that keep a browser from doing anything with it but read it. The API serves data, no pages. */
import { IncomingMessage, ServerResponse } from 'node:http'
import { Socket } from 'node:net'
import helmet from 'helmet'

const hstsS = 31_536_000

/**
 * Always the same, so made once. `isSecure`: callers come over TLS, and browsers are told to come no other way. There is
 * no header of CORS: no other origin's script may read an answer.
 */
export function securityHeaders({ isSecure }: { isSecure: boolean }): readonly (readonly [string, string])[] {
  const response = new ServerResponse(new IncomingMessage(new Socket()))
  helmet({
    contentSecurityPolicy: {
      useDefaults: false,
      directives: { defaultSrc: ["'none'"], baseUri: ["'none'"], formAction: ["'none'"], frameAncestors: ["'none'"] },
    },
    crossOriginResourcePolicy: { policy: 'same-origin' },
    referrerPolicy: { policy: 'no-referrer' },
    strictTransportSecurity: isSecure && { maxAge: hstsS, includeSubDomains: true },
    xFrameOptions: { action: 'deny' },
  })(response.req, response, () => {})
  return Object.entries(response.getHeaders()).map(([name, value]) => [name, String(value)])
}
