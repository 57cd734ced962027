import fc from 'fast-check'
import { expect, test } from 'vitest'
import type { Fact } from '../schemas/events.generated.ts'
import { foldRows, opsOf, type Row, type Rows, rowId } from './fold-rows.ts'
import { memoryProjections } from './memory-runner.ts'
import {
  amount,
  bigint,
  json,
  lines,
  nullable,
  type Projection,
  projection,
  type RowOp,
  text,
  total,
} from './projection.ts'
import { cancelled, Stamp } from './testing/facts.ts'

const counts = projection({
  name: 'counts',
  version: 1,
  table: 'counts',
  tableSql: () => '',
  keyColumns: ['tenant_id', 'id'],
  columns: {
    tenant_id: text,
    id: text,
    note: nullable(text),
    size: bigint,
    n: total(bigint),
    sum: total(amount),
    extra: nullable(json),
    log: lines,
  },
  apply: () => [],
})
const key = { tenant_id: 't', id: 'a' }
const id = rowId(counts.keyColumns, key)

/** What becomes of one row. */
function fold(row: Row | undefined, ...ops: [seq: bigint, op: RowOp][]): Row | undefined {
  const rows: Rows = new Map([[id, row]])
  foldRows(
    counts,
    rows,
    ops.map(([seq, op]) => ({ seq, ops: [{ id, op }] })),
  )
  return rows.get(id)
}
const fresh: Row = { tenant_id: 't', id: 'a', note: null, size: 1n, n: 0n, sum: 0n, extra: null, log: '', seq: 5n }

test('insert begins a row with nulls and zeros where nothing is given', () => {
  expect(fold(undefined, [5n, { op: 'insert', key, values: { size: 1n } }])).toEqual(fresh)
})
test('insert leaves a row that is there as it is', () => {
  expect(fold(fresh, [6n, { op: 'insert', key, values: { size: 2n } }])).toBe(fresh)
})
test('set changes what it names', () => {
  expect(fold(fresh, [6n, { op: 'set', key, values: { note: 'x' } }])).toEqual({ ...fresh, note: 'x', seq: 6n })
})
test('set begins a row when it says enough', () => {
  expect(fold(undefined, [6n, { op: 'set', key, values: { size: 3n } }])).toEqual({ ...fresh, size: 3n, seq: 6n })
  expect(() => fold(undefined, [6n, { op: 'set', key, values: { note: 'x' } }])).toThrow(
    'counts: fact 6 begins a row without size.',
  )
})
test('add adds, and sets what is given beside', () => {
  const op: RowOp = { op: 'add', key, add: { n: 2n, sum: -(10n ** 30n) }, values: { size: 9n } }
  expect(fold(undefined, [6n, op], [7n, op])).toEqual({ ...fresh, n: 4n, sum: -2n * 10n ** 30n, size: 9n, seq: 7n })
})
test('add to what is not a total is an error', () => {
  expect(() => fold(fresh, [6n, { op: 'add', key, add: { note: 1n }, values: {} }])).toThrow('note is not a total.')
})
test('append adds a line, with the seq of its fact, and begins a row when it says enough', () => {
  const op: RowOp = { op: 'append', key, values: { log: 'x y' } }
  expect(fold(fresh, [6n, op], [7n, op])).toEqual({ ...fresh, log: '6 x y\n7 x y', seq: 7n })
  expect(() => fold(undefined, [6n, op])).toThrow('counts: fact 6 begins a row without size.')
})
test.each([{ note: 'x' }, { log: 'x\ny' }, { log: 1n }])(
  'append takes one line, to a column of lines: %o',
  (values) => {
    expect(() => fold(fresh, [6n, { op: 'append', key, values }])).toThrow('takes no such line.')
  },
)
test('delete ends a row, and a later op begins it anew', () => {
  expect(fold(fresh, [6n, { op: 'delete', key }])).toBeUndefined()
  expect(
    fold(fresh, [6n, { op: 'delete', key }], [7n, { op: 'add', key, add: { n: 1n }, values: { size: 1n } }]),
  ).toEqual({ ...fresh, n: 1n, seq: 7n })
})
test.each<RowOp>([
  { op: 'insert', key, values: { size: 8n } },
  { op: 'set', key, values: { note: 'y' } },
  { op: 'add', key, add: { n: 1n }, values: {} },
  { op: 'append', key, values: { log: 'x' } },
  { op: 'delete', key },
])('an op that is not newer than the row changes nothing: %o', (op) => {
  expect(fold(fresh, [5n, op], [4n, op])).toBe(fresh)
})
test('a fact with two ops for one row is refused', () => {
  const op: RowOp = { op: 'add', key, add: { n: 1n }, values: {} }
  expect(() =>
    foldRows(counts, new Map([[id, fresh]]), [
      {
        seq: 6n,
        ops: [
          { id, op },
          { id, op },
        ],
      },
    ]),
  ).toThrow('two ops for one row')
})

test('keys are never joined text', () => {
  const ids = [
    ['a', 'b,c'],
    ['a,b', 'c'],
    ['a","b', 'c'],
    ['a', 'b","c'],
  ].map(([a, b]) => rowId(['x', 'y'], { x: a ?? '', y: b ?? '' }))
  expect(new Set(ids).size).toBe(4)
})

test('U+0000, which PostgreSQL cannot hold, becomes U+FFFD wherever it stands', () => {
  const withOps: Projection = {
    ...counts,
    apply: () => [
      {
        op: 'insert',
        key: { tenant_id: 't', id: 'a\0' },
        values: { size: 1n, note: '\0b', extra: { list: ['c\0', 1], plain: '\\u0000' } },
      },
    ],
  }
  const [fact] = opsOf(withOps, [new Stamp().fact('t', cancelled('j', 0))])
  expect(fact?.ops[0]?.op).toEqual({
    op: 'insert',
    key: { tenant_id: 't', id: 'a\ufffd' },
    values: { size: 1n, note: '\ufffdb', extra: { list: ['c\ufffd', 1], plain: '\\u0000' } },
  })
  expect(fact?.ops[0]?.id).toBe(rowId(counts.keyColumns, { tenant_id: 't', id: 'a\ufffd' }))
})

test('a history applied again, whole or from anywhere, in any batches, changes nothing', () => {
  const kinds = fc.constantFrom('insert', 'set', 'add')
  const step = fc.record({ kind: kinds, id: fc.constantFrom('a', 'b', 'c'), by: fc.bigInt({ min: -5n, max: 5n }) })
  fc.assert(
    fc.property(fc.array(step, { maxLength: 40 }), fc.nat(), fc.integer({ min: 1, max: 9 }), (steps, from, size) => {
      const stamp = new Stamp()
      const facts = steps.map(() => stamp.fact('t', cancelled('j', 0)))
      const apply = (fact: Fact): RowOp[] => {
        const { kind, id, by } = steps[Number(fact.seq) - 1] ?? { kind: 'add', id: 'a', by: 0n }
        const key = { tenant_id: 't', id }
        return [
          kind === 'add'
            ? { op: 'add', key, add: { n: by }, values: { size: by } }
            : { op: kind === 'set' ? 'set' : 'insert', key, values: { size: by } },
        ]
      }
      const runner = memoryProjections([{ ...counts, apply }])
      for (let at = 0; at < facts.length; at += size) runner.apply(facts.slice(at, at + size))
      const once = runner.rows('counts')
      runner.apply(facts.slice(from % (facts.length + 1)))
      runner.apply(facts)
      expect(runner.rows('counts')).toEqual(once)
    }),
  )
})

test('a history with deletions applied again as a whole changes nothing', () => {
  const stamp = new Stamp()
  const ops: RowOp[] = [
    { op: 'set', key, values: { size: 1n } },
    { op: 'delete', key },
    { op: 'add', key, add: { n: 1n }, values: { size: 2n } },
  ]
  const facts = ops.map(() => stamp.fact('t', cancelled('j', 0)))
  const runner = memoryProjections([{ ...counts, apply: (fact) => ops.slice(Number(fact.seq) - 1, Number(fact.seq)) }])
  runner.apply(facts)
  const once = runner.rows('counts')
  runner.apply(facts)
  expect(runner.rows('counts')).toEqual(once)
  expect(once).toEqual([{ ...fresh, size: 2n, n: 1n, seq: 3n }])
})
