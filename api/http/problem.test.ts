import { expect, test } from 'vitest'
import { PlatformError } from '../../platform/errors.ts'
import { codesOf } from '../openapi/codes.ts'
import { routeTable } from '../route-table.ts'
import { replyOf } from './problem.ts'

test('a question that the database was stopped at is answered with what to do, and documented wherever a tenant asks', () => {
  expect(replyOf(new PlatformError('READ_TOO_LARGE'), 'c').document).toMatchObject({
    status: 422,
    code: 'READ_TOO_LARGE',
    canRetry: false,
    title: expect.stringContaining('ask for a shorter period'),
  })
  const asked = routeTable.filter(({ roles }) => roles !== 'public')
  expect(asked.filter((route) => !codesOf(route).includes('READ_TOO_LARGE'))).toEqual([])
})
