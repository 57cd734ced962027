/** Asks the service of the same container whether it lives, or what the path given as argument tells; exit code 1 when not. */
import http from 'node:http'
import https from 'node:https'

const { PF3_PORT = '8080', PF3_TLS_CERT_FILE = '' } = process.env
const askMsMax = 4_000
const [, , path = '/healthz'] = process.argv
const [scheme, transport] = PF3_TLS_CERT_FILE === '' ? ['http', http] : ['https', https]

const asked = transport.get(
  `${scheme}://127.0.0.1:${PF3_PORT}${path}`,
  // Its certificate names whatever clients call it. This goes to our own loopback and says nothing to keep secret.
  { rejectUnauthorized: false, timeout: askMsMax },
  (answer) => {
    answer.resume()
    process.exitCode = answer.statusCode === 200 ? 0 : 1
  },
)
asked.on('timeout', () => asked.destroy(new Error(`no answer in ${askMsMax} ms`)))
asked.on('error', (error) => {
  process.stderr.write(`${error.message}\n`)
  process.exitCode = 1
})
