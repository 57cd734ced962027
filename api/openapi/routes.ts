/** The description of the API, and a page to read and try it. Both are for everybody, and say nothing of any tenant. */
import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import { z } from 'zod'
import { etagOf } from '../http/etag.ts'
import { none } from '../http/forms.ts'
import { publicRoute, type Reply, type Route } from '../route.ts'
import { openApiOf } from './document.ts'

/** `table`: every route there is, these among them. */
export function openApiRoutes(table: () => readonly Route[]): readonly Route[] {
  let description: Reply | undefined
  return [
    publicRoute({
      method: 'get',
      path: '/openapi.json',
      summary: 'This description.',
      params: none,
      query: none,
      isRevalidated: true,
      replies: { 200: z.looseObject({ openapi: z.string() }) },
      async handle() {
        description ??= fileReply(JSON.stringify(openApiOf(table())), 'application/json')
        return description
      },
    }),
    publicRoute({
      method: 'get',
      path: '/docs',
      summary: 'A page to read the description and to try the operations.',
      params: none,
      query: none,
      replies: { 200: 'text/html' },
      handle: async () => ({
        status: 200,
        body: page,
        headers: { 'Content-Type': 'text/html; charset=utf-8', ...policy },
      }),
    }),
    ...files.map(({ name, from, type }) =>
      publicRoute({
        method: 'get',
        path: `/docs/${name}`,
        summary: `A part of the page: ${name}.`,
        params: none,
        query: none,
        isRevalidated: true,
        replies: { 200: type },
        handle: async () => fileOf(from, type),
      }),
    ),
  ]
}

// Swagger UI sets styles of its own; scripts come from here alone.
const policy = {
  'Content-Security-Policy':
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
}

const page = `<!doctype html>
<html lang="en">
<head><meta charset="utf-8"><title>PF-3</title><link rel="stylesheet" href="/docs/swagger-ui.css"></head>
<body><div id="docs"></div><script src="/docs/swagger-ui-bundle.js"></script><script src="/docs/start.js"></script></body>
</html>
`
const startScript =
  "SwaggerUIBundle({ url: '/openapi.json', dom_id: '#docs', deepLinking: true, validatorUrl: null })\n"

const javascript = 'text/javascript'
const files: readonly { name: string; from: string; type: `text/${string}` }[] = [
  { name: 'swagger-ui.css', from: 'swagger-ui.css', type: 'text/css' },
  { name: 'swagger-ui-bundle.js', from: 'swagger-ui-bundle.js', type: javascript },
  { name: 'start.js', from: '', type: javascript },
]

const kept = new Map<string, Reply>() // Files of a package, so the same for everybody.
function fileOf(from: string, type: string): Reply {
  const known = kept.get(from)
  if (known) return known
  const home = dirname(createRequire(import.meta.url).resolve('swagger-ui-dist/package.json'))
  const text = from === '' ? startScript : readFileSync(join(home, from), 'utf8')
  const reply = fileReply(text, `${type}; charset=utf-8`)
  kept.set(from, reply)
  return reply
}

/** Made once: everybody is sent the same bytes, and nobody has them named again. */
function fileReply(text: string, type: string): Reply {
  const body = Buffer.from(text)
  return { status: 200, body, headers: { 'Content-Type': type, ETag: etagOf(body) } }
}
