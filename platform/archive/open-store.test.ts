import { expect, test } from 'vitest'
import { complaintAbout, openStore } from './open-store.ts'

test.for(['archive', '/var/archive', 's3://bucket', 's3://bucket/', 's3://my.bucket-1/a/b_c/'])(
  '%s is a place',
  (place) => expect(complaintAbout(place)).toBeUndefined(),
)

test.for(['', ' ', 'http://x/y', 'file:///x', 's3://', 's3://B', 's3://bucket/a b', 's3://user:secret@bucket/x'])(
  '%j is none',
  (place) => expect(complaintAbout(place)).toMatch(/expected|empty/),
)

test('object storage beyond loopback is not spoken to in clear text', () => {
  expect(() => openStore('s3://bucket/x', { endpoint: 'http://storage.example:9000' })).toThrow(/must be https/)
  expect(openStore('s3://bucket/x', { endpoint: 'https://storage.example' }).place).toBe('s3://bucket/x/')
  expect(openStore('s3://bucket', { endpoint: 'http://127.0.0.1:9000' }).place).toBe('s3://bucket/')
})
