/**
 * Who may import whom: the table of rooms as rules, so that no reviewer has to look for it.
 * `npm run imports` checks the repository; imports.test.ts beside it breaks every rule once.
 */
import type { ICruiseOptions, IFlattenedRuleSet, IForbiddenRuleType } from 'dependency-cruiser'

/** Rooms a room may import, besides itself. `bin/`, `tests/` and `bench/` may import everything. */
const mayImport: Readonly<Record<string, readonly string[]>> = {
  schemas: [],
  pricing: ['schemas'],
  platform: ['schemas'],
  producers: ['schemas', 'platform'],
  processors: ['schemas', 'pricing', 'platform'],
  projections: ['schemas', 'platform'],
  capabilities: ['schemas', 'pricing'],
  providers: ['capabilities', 'schemas', 'platform'],
  api: ['schemas', 'pricing', 'capabilities', 'platform', 'producers', 'projections'],
}
const product = [...Object.keys(mayImport), 'bin', 'bench', 'tests']

/** Tests and what only tests use: the table is about the product. */
const testCode = '(\\.test\\.ts|/testing/.*|/[a-z-]*contract\\.ts|^tests/.*|^bench/.*|/sample-events\\.ts)$'

/** Rules without clock, chance, environment or I/O. */
const pureRule = '^processors/[^/]+/(state|decide|evolve)\\.ts$'

const roomRules: IForbiddenRuleType[] = Object.entries(mayImport).map(([room, others]) => ({
  name: `${room}-imports-only-its-rooms`,
  comment: `${room}/ may import ${others.length > 0 ? others.join(', ') : 'no other room'}.`,
  severity: 'error',
  from: { path: `^${room}/`, pathNot: testCode },
  to: {
    path: `^(${product.join('|')})/`,
    pathNot: [
      `^(${[room, ...others].join('|')})/`,
      // Execution calls what a job asks for; start-owner joins it with the routes.
      ...(room === 'processors' ? ['^capabilities/'] : []),
    ],
  },
}))

export const ruleSet: IFlattenedRuleSet = {
  forbidden: [
    ...roomRules,
    {
      name: 'only-execution-knows-capabilities',
      comment: 'Of the processors only execution, which makes the calls, and start-owner, which gives it its routes.',
      severity: 'error',
      from: { path: '^processors/', pathNot: ['^processors/(execution/|start-owner\\.ts$)', testCode] },
      to: { path: '^capabilities/' },
    },
    {
      name: 'pure-rules-know-capabilities-by-type',
      comment: 'A pure rule may name the types of a capability, never run one.',
      severity: 'error',
      from: { path: pureRule },
      to: { path: '^capabilities/', dependencyTypesNot: ['type-only'] },
    },
    {
      name: 'pure-rules-and-pricing-reach-no-machine',
      comment: 'state, decide, evolve and pricing reach no platform, provider or side, however many files lie between.',
      severity: 'error',
      from: { path: [pureRule, '^pricing/'], pathNot: testCode },
      to: { path: '^(platform|providers|producers|projections|api|bin)/', reachable: true },
    },
    {
      name: 'pure-rules-and-pricing-import-no-machine',
      comment: 'state, decide, evolve and pricing import schemas, pricing, pure files beside them and pure libraries.',
      severity: 'error',
      from: { path: [pureRule, '^pricing/'], pathNot: testCode },
      to: {
        pathNot: [
          '^pricing/',
          '^schemas/(events\\.generated|ids|streams|units)\\.ts$',
          '^processors/[^/]+/(state|decide|evolve|periods|fair-queue|fifo|replay|id-table|answered)\\.ts$',
          '^processors/(processor|tuple)\\.ts$',
          '^capabilities/capability\\.ts$',
          '^crypto$', // createHash only: tidy.test.ts refuses the parts of it that draw chance.
          '(^|/)node_modules/temporal-polyfill/',
        ],
      },
    },
    {
      name: 'pure-helpers-import-no-machine',
      comment: 'What pure rules share is as pure as they are.',
      severity: 'error',
      from: {
        path: [
          '^processors/[^/]+/(periods|fair-queue|fifo|replay|id-table|answered)\\.ts$',
          '^processors/(processor|tuple)\\.ts$',
        ],
      },
      to: {
        pathNot: [
          '^pricing/',
          '^schemas/(events\\.generated|ids|streams|units)\\.ts$',
          '^processors/',
          '(^|/)node_modules/temporal-polyfill/',
        ],
      },
    },
    {
      name: 'api-reads-views-through-queries',
      comment: 'Of projections, api sees queries.ts and nothing else.',
      severity: 'error',
      from: { path: '^api/', pathNot: testCode },
      to: { path: '^projections/', pathNot: '^projections/[^/]+/queries\\.ts$' },
    },
    {
      name: 'api-touches-no-log-and-no-table',
      comment: 'api appends through producers and reads through queries; of the database it hands on the port.',
      severity: 'error',
      from: { path: '^api/', pathNot: testCode },
      to: {
        path: ['^platform/(log|postgres|snapshots)/', '(^|/)node_modules/(pg|kafkajs|@electric-sql)/'],
        pathNot: '^platform/postgres/database\\.ts$',
      },
    },
    {
      name: 'verifier-shares-no-code',
      comment: 'The verifier of the demo proves the product, so it imports nothing of it.',
      severity: 'error',
      from: { path: '^bin/demo/verify', pathNot: testCode },
      to: { path: `^(${product.join('|')})/`, pathNot: '^bin/demo/verify' },
    },
    {
      name: 'samples-share-no-code',
      comment: 'A sample shows what somebody outside can write, so it imports nothing of the product.',
      severity: 'error',
      from: { path: '^samples/' },
      to: { path: `^(${product.join('|')})/` },
    },
    {
      name: 'no-cycles',
      comment: 'Two files that need each other are one file, or share a third.',
      severity: 'error',
      from: {},
      to: { circular: true },
    },
    {
      name: 'product-imports-no-test-code',
      comment: 'What exists for tests is not part of the product.',
      severity: 'error',
      from: { pathNot: testCode },
      to: { path: testCode },
    },
    {
      name: 'product-imports-no-development-packages',
      comment: 'An installation without development packages must run.',
      severity: 'error',
      from: { path: `^(${product.join('|')}|samples)/`, pathNot: [testCode, '^schemas/tools/'] },
      to: { dependencyTypes: ['npm-dev'], dependencyTypesNot: ['type-only'] },
    },
    {
      name: 'packages-are-declared',
      comment: 'A package that another package happens to bring can vanish with it.',
      severity: 'error',
      from: {},
      to: { dependencyTypes: ['npm-no-pkg', 'npm-unknown'] },
    },
    {
      name: 'imports-resolve',
      comment: 'An import nobody can follow hides from every other rule.',
      severity: 'error',
      from: {},
      to: { couldNotResolve: true },
    },
  ],
}

export const readerOptions: ICruiseOptions = {
  parser: 'swc', // Reads TypeScript 7 sources by itself; the default parser needs an older typescript.
  tsPreCompilationDeps: true, // A type import is an import.
  doNotFollow: { path: 'node_modules' },
  exclude: { path: '(^|/)(coverage|\\.pf3|\\.venv|\\.git)/' },
}
