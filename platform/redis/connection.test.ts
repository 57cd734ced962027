import { expect, test } from 'vitest'
import { isTlsUrl, redisOptionsFrom, redisUrlComplaint } from './connection.ts'

test.each([
  'redis://localhost',
  'redis://127.0.0.1:6380/',
  'redis://:p@[::1]/3',
  'redis://u:p@127.0.0.1:6380/0',
  'rediss://u:p@redis.example',
  'rediss://:p@10.0.0.7:6380/2',
])('%s is a way to connect', (url) => {
  expect(redisUrlComplaint(url)).toBeUndefined()
})

test.each([
  ['redis://u:p@redis.example', 'outside loopback rediss://'],
  ['redis://u:p@127.0.0.1.example', 'outside loopback rediss://'],
  ['redis://u:p@%31%32%38.0.0.1', 'outside loopback rediss://'],
  ['redis://u:p@127.0.0.1?tls=false', 'without a query'],
  ['rediss://u:p@redis.example?family=6', 'without a query'],
  ['rediss://u:p@redis.example#x', 'redis://user:password@host'],
  ['rediss://u:p@redis.example/main', 'redis://user:password@host'],
  ['rediss://u:p%zz@redis.example', 'redis://user:password@host'],
  ['rediss://u:p@', 'redis://user:password@host'],
  ['rediss://u@redis.example', 'redis://user:password@host'],
  ['http://u:p@localhost', 'redis://user:password@host'],
  ['localhost:6379', 'redis://user:password@host'],
])('%s is not, and the complaint says why without the password', (url, why) => {
  const complaint = redisUrlComplaint(url)
  expect(complaint).toContain(why)
  expect(complaint).not.toContain('u:p')
  expect(() => redisOptionsFrom({ url })).toThrow(RangeError)
})

test('outside loopback the server is proven, by TLS 1.3', () => {
  expect(redisOptionsFrom({ url: 'rediss://u:p%40ss@redis.example:7000/2', ca: 'PEM' })).toEqual({
    host: 'redis.example',
    port: 7000,
    db: 2,
    username: 'u',
    password: 'p@ss',
    tls: { minVersion: 'TLSv1.3', rejectUnauthorized: true, ca: 'PEM' },
  })
  expect(redisOptionsFrom({ url: 'redis://[::1]' })).toEqual({ host: '::1', port: 6379, db: 0 })
  expect([isTlsUrl('rediss://redis.example'), isTlsUrl('redis://localhost'), isTlsUrl('x')]).toEqual([
    true,
    false,
    false,
  ])
})
