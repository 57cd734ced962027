import fc from 'fast-check'
import { expect, test } from 'vitest'
import { attemptIdFrom, eventIdFrom, idFrom, jobIdFrom, keyOfJob, lineIdFrom } from './ids.ts'

/** SHA-256 of the length-prefixed parts in Crockford base32, from an independent implementation. */
test.for<[kind: string, parts: string[], id: string]>([
  ['job', ['client-1', 'key-1'], 'job_pt06yz2jwx57x1v0nazk8jkjd0'],
  ['evt', ['client-1', 'req_1', 'JobAdmitted', '0'], 'evt_ac25jv05faz8ec59abhsxqr425'],
  ['line', ['', ''], 'line_bds0rmz15jjscrsrg3az43j8fa'],
  ['att', ['mieter-ä', '🧾', '1'], 'att_30ncmdhv5s3jq5nh0296dheeqw'],
])('%s of %j is %s', ([kind, parts, id]) => {
  expect(idFrom(kind, ...parts)).toBe(id)
})

test('what is joined differently has another id, whatever the parts hold', () => {
  fc.assert(
    fc.property(fc.array(fc.string(), { minLength: 1 }), fc.array(fc.string(), { minLength: 1 }), (a, b) => {
      expect(idFrom('job', ...a) === idFrom('job', ...b)).toBe(JSON.stringify(a) === JSON.stringify(b))
    }),
  )
  expect(idFrom('job', 'a', 'bc')).not.toBe(idFrom('job', 'ab', 'c'))
  expect(idFrom('job', 'a', '1:b')).not.toBe(idFrom('job', 'a1:b'))
  expect(idFrom('job', 'ab')).not.toBe(idFrom('job', 'ab', ''))
  expect(idFrom('job', '1:a')).not.toBe(idFrom('job', 'a'))
  expect(idFrom('job', 'x').slice(4)).not.toBe(idFrom('evt', 'x').slice(4))
})

test('an id is its kind and 26 characters nobody can misread', () => {
  fc.assert(
    fc.property(fc.string(), (text) => {
      expect(idFrom('job', text)).toMatch(/^job_[0-9a-hjkmnp-tv-z]{26}$/)
    }),
  )
})

test('numbers of either kind and their text name the same thing', () => {
  expect(idFrom('att', 't', 7)).toBe(idFrom('att', 't', 7n))
  expect(idFrom('att', 't', 7)).toBe(idFrom('att', 't', '7'))
})

test('every maker keeps its own kind and uses all it is given', () => {
  expect(jobIdFrom('t', 'k', 0)).toMatch(/^job_/)
  expect(attemptIdFrom('t', 'j', 1)).not.toBe(attemptIdFrom('t', 'j', 2))
  expect(eventIdFrom('t', 'c', 'JobRated', 0)).not.toBe(eventIdFrom('t', 'c', 'JobRated', 1))
  expect(eventIdFrom('t', 'c', 'JobRated', 0)).not.toBe(eventIdFrom('t', 'c', 'JobFailed', 0))
  expect(lineIdFrom('t', 'j', 'output', 0)).not.toBe(lineIdFrom('u', 'j', 'output', 0))
})

test('100,000 ids of one time are 100,000 ids, and so are 100,000 keys', () => {
  const ids = Array.from({ length: 100_000 }, (_, index) => jobIdFrom('tenant', `key-${index}`, 1))
  expect(new Set(ids).size).toBe(100_000)
  expect(new Set(ids.map(keyOfJob)).size).toBe(100_000)
})

/** Times by Crockford base32 of 45 bits, from an independent implementation. */
test.for<[atMs: number, id: string]>([
  [-1, 'job_000000000pt06yz2jwx57x1v0na'],
  [0, 'job_000000000pt06yz2jwx57x1v0na'],
  [1, 'job_000000001pt06yz2jwx57x1v0na'],
  [1_795_836_262_000, 'job_1m8g2xdkgpt06yz2jwx57x1v0na'],
  [2 ** 45 - 1, 'job_zzzzzzzzzpt06yz2jwx57x1v0na'],
])('a job asked for at %i is %s: its time, and the beginning of the hash of its key', ([atMs, id]) => {
  expect(jobIdFrom('client-1', 'key-1', atMs)).toBe(id)
})

test('ids of later jobs sort behind, and so do those of what belongs to them; a key is the same at any time', () => {
  const time = fc.integer({ min: 0, max: 2 ** 45 - 1 })
  fc.assert(
    fc.property(time, time, fc.string(), fc.string(), (a, b, one, two) => {
      const [earlier, later] = [jobIdFrom('t', one, Math.min(a, b)), jobIdFrom('t', two, Math.max(a, b))]
      if (a !== b) {
        expect(earlier < later).toBe(true)
        expect(lineIdFrom('t', earlier, 'output', 0) < lineIdFrom('t', later, 'output', 0)).toBe(true)
      }
      expect(keyOfJob(earlier) === keyOfJob(later)).toBe(one === two)
      expect(lineIdFrom('t', earlier, 'output', 0)).toMatch(/^line_[0-9a-hjkmnp-tv-z]{27}$/)
    }),
  )
})

test('what belongs to a job from before ids began with a time is named as it was then', () => {
  const old = 'job_pt06yz2jwx57x1v0nazk8jkjd0'
  expect(lineIdFrom('client-1', old, 'output', 0)).toBe(idFrom('line', 'client-1', old, 'output', 0))
  expect(attemptIdFrom('client-1', old, 1)).toBe(idFrom('att', 'client-1', old, 1))
  expect(keyOfJob(old)).toBe(keyOfJob(jobIdFrom('client-1', 'key-1', 1)))
  expect(keyOfJob('job-1')).toBe('job-1')
})
