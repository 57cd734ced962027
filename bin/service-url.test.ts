import { expect, test } from 'vitest'
import { readConfig } from './config.ts'
import { serviceUrl } from './service-url.ts'

test.each([
  [{}, 'http://127.0.0.1:8080'],
  [{ PF3_HOST: 'localhost' }, 'http://localhost:8080'],
  [{ PF3_HOST: '::1' }, 'http://[::1]:8080'],
  [{ PF3_HOST: '[::1]' }, 'http://[::1]:8080'],
  [{ PF3_HOST: '::', PF3_TLS_CERT_FILE: 'c.pem', PF3_TLS_KEY_FILE: 'k.pem' }, 'https://[::]:8080'],
  [{ PF3_HOST: '0.0.0.0', PF3_TLS_TERMINATED: 'yes' }, 'http://0.0.0.0:8080'],
])('with %o a service answers at %s', (env, url) => {
  const config = readConfig(env)
  expect(serviceUrl(config, config.port)).toBe(url)
})
