import { expect, test } from 'vitest'
import { connectionFrom, postgresUrlComplaint } from './connection.ts'

test.each([
  'postgres://u:p@localhost/pf3',
  'postgresql://u:p@127.0.0.1:5433/pf3?application_name=x',
  'postgres://u@%2Fvar%2Frun%2Fpostgresql/pf3',
  'postgres://u:p@localhost/pf3?sslmode=verify-full',
  'postgres://u:p@db.example/pf3?sslmode=verify-full',
  'postgres://u:p@10.0.0.7/pf3?sslmode=verify-full&sslrootcert=/none/needed/here.pem',
])('%s is a way to connect', (url) => {
  expect(postgresUrlComplaint(url)).toBeUndefined()
})

test.each([
  ['postgres://u:p@db.example/pf3', 'sslmode=verify-full'],
  ['postgres://u:p@db.example/pf3?sslmode=require', 'sslmode=verify-full'],
  ['postgres://u:p@db.example/pf3?sslmode=verify-ca', 'sslmode=verify-full'],
  ['postgres://u:p@db.example/pf3?sslmode=no-verify', 'sslmode=verify-full'],
  ['postgres://u:p@db.example/pf3?sslmode=disable', 'sslmode=verify-full'],
  ['postgres://u:p@localhost/pf3?sslmode=no-verify', 'sslmode=verify-full'],
  ['postgres://u:p@localhost.example/pf3', 'sslmode=verify-full'],
  ['postgres://u:p@127.0.0.1.example/pf3', 'sslmode=verify-full'],
  ['postgres://u:p@db.example/pf3?sslmode=verify-full&ssl=0', 'ssl'],
  ['postgres://u:p@db.example/pf3?sslmode=verify-full&uselibpqcompat=true', 'uselibpqcompat'],
  ['postgres://u:p@localhost/pf3?host=db.example', 'host'],
  ['postgres:///pf3', 'postgres://user:password@host'],
  ['mysql://u:p@localhost/pf3', 'postgres://user:password@host'],
  ['/var/run/postgresql pf3', 'postgres://user:password@host'],
])('%s is not, and the complaint says why without the password', (url, why) => {
  const complaint = postgresUrlComplaint(url)
  expect(complaint).toContain(why)
  expect(complaint).not.toContain('u:p')
  expect(() => connectionFrom(url)).toThrow(RangeError)
})

test('outside loopback the server is proven, by TLS 1.3, against the host that was called', () => {
  expect(connectionFrom('postgres://u:p@10.0.0.7:5433/pf3?sslmode=verify-full&application_name=x')).toEqual({
    connectionString: 'postgres://u:p@10.0.0.7:5433/pf3?application_name=x',
    ssl: { rejectUnauthorized: true, minVersion: 'TLSv1.3', host: '10.0.0.7' },
  })
  expect(connectionFrom('postgres://u:p@localhost/pf3')).toEqual({ connectionString: 'postgres://u:p@localhost/pf3' })
})
