/** Every option there is; the table is also the documentation (docs/reference/config.md). */

export type Option = {
  name: string
  /** How the value is written when nothing is set; null when there is no default. */
  fallback: string | null
  form: 'text' | 'whole' | 'choice' | 'secret'
  /** Unit of a whole number. */
  unit?: string
  min?: number
  max?: number
  choices?: readonly string[]
  means: string
}

export const options = [
  {
    name: 'PF3_PROFILE',
    fallback: 'embedded',
    form: 'choice',
    choices: ['embedded', 'kafka'],
    means:
      'Which machine it runs on: `embedded` keeps log and views in one process; `kafka` has the log on Apache Kafka, views in PostgreSQL, and as many processes as you like. See [running on Kafka](../kafka.md).',
  },
  {
    name: 'PF3_HOST',
    fallback: '127.0.0.1',
    form: 'text',
    means: "Address the HTTP server listens on; outside loopback only with TLS, its own or a proxy's.",
  },
  {
    name: 'PF3_PORT',
    fallback: '8080',
    form: 'whole',
    unit: 'port',
    min: 0,
    max: 65_535,
    means: 'Port of the HTTP server; 0 takes a free one.',
  },
  {
    name: 'PF3_TLS_CERT_FILE',
    fallback: null,
    form: 'text',
    means:
      'Certificate of the HTTP server and what links it to its authority, PEM. With it, TLS 1.3 is spoken and nothing else. Read again on SIGHUP.',
  },
  {
    name: 'PF3_TLS_KEY_FILE',
    fallback: null,
    form: 'text',
    means: 'Private key of that certificate, PEM.',
  },
  {
    name: 'PF3_TLS_TERMINATED',
    fallback: 'no',
    form: 'choice',
    choices: ['no', 'yes'],
    means: 'Whether a proxy in front ends TLS (1.3, please): plain text is then spoken outside loopback too.',
  },
  {
    name: 'PF3_DATA_DIR',
    fallback: '.pf3',
    form: 'text',
    means: 'Directory of everything that is kept: database, master key, schema ids.',
  },
  {
    name: 'PF3_POSTGRES_URL',
    fallback: null,
    form: 'secret',
    means:
      'A PostgreSQL server (15 or later) for log and views instead of the built-in one, with a user that owns the database and may create roles, or is in `pf3_tenant` and `pf3_service` already; survives the loss of power as far as that server does. Outside loopback with `sslmode=verify-full` (TLS 1.3), and `sslrootcert=<file>` for an authority of your own.',
  },
  {
    name: 'PF3_KAFKA_BROKERS',
    fallback: null,
    form: 'text',
    means: 'Brokers to begin with, `host:port` separated by commas. Profile `kafka` needs it.',
  },
  {
    name: 'PF3_KAFKA_TLS',
    fallback: 'no',
    form: 'choice',
    choices: ['no', 'yes'],
    means: 'Whether brokers are spoken to by TLS 1.3. Brokers outside loopback must be.',
  },
  {
    name: 'PF3_KAFKA_CA_FILE',
    fallback: null,
    form: 'text',
    means: "Certificate of the authority of the brokers' certificates, PEM, where the system does not know it.",
  },
  {
    name: 'PF3_KAFKA_USERNAME',
    fallback: null,
    form: 'text',
    means: 'User for SASL SCRAM-SHA-512 with the brokers.',
  },
  { name: 'PF3_KAFKA_PASSWORD', fallback: null, form: 'secret', means: 'Password of that user.' },
  {
    name: 'PF3_KAFKA_REPLICATION',
    fallback: null,
    form: 'whole',
    unit: 'replicas',
    min: 1,
    max: 9,
    means: "Copies of every record, for topics that `pf3 topics apply` makes; without it the brokers' own default.",
  },
  {
    name: 'PF3_TOPIC_PREFIX',
    fallback: 'pf3.',
    form: 'text',
    means: 'Before the name of every topic, group and transactional id: another prefix is another installation.',
  },
  {
    name: 'PF3_REGISTRY_URL',
    fallback: null,
    form: 'text',
    means: 'Confluent-compatible schema registry; https, or http on loopback. Profile `kafka` needs it.',
  },
  {
    name: 'PF3_REGISTRY_CA_FILE',
    fallback: null,
    form: 'text',
    means: 'Certificate of the authority of its certificate, PEM, where the system does not know it.',
  },
  { name: 'PF3_REGISTRY_USERNAME', fallback: null, form: 'text', means: 'User for basic authentication with it.' },
  { name: 'PF3_REGISTRY_PASSWORD', fallback: null, form: 'secret', means: 'Password of that user.' },
  {
    name: 'PF3_MASTER_KEY_FILE',
    fallback: null,
    form: 'text',
    means:
      'File of the master key, 32 bytes, mode 600; without it `master.key` in the data directory. All processes of an installation need the same. The first start makes it where it is not there; once something is sealed, no start goes on with another or without it: keep a copy elsewhere.',
  },
  {
    name: 'PF3_REDIS_URL',
    fallback: null,
    form: 'secret',
    means:
      'A Redis server (6 or later) that processes tell each other by what has become readable, and count limits in; without it, or while it is away, they [go on](../reliability.md#what-goes-on-without-a-part). `redis://` on loopback, elsewhere `rediss://` (TLS 1.3).',
  },
  {
    name: 'PF3_REDIS_CA_FILE',
    fallback: null,
    form: 'text',
    means: 'Authority of its certificate where the system does not know it, PEM.',
  },
  {
    name: 'PF3_PARTITIONS',
    fallback: '4',
    form: 'whole',
    unit: 'partitions',
    min: 1,
    max: 256,
    means: 'Partitions of every stream. Fixed when the data directory is first used.',
  },
  {
    name: 'PF3_ROOT_TOKEN',
    fallback: null,
    form: 'secret',
    means:
      'Token of the platform administrator: 32 to 8,192 printable ASCII characters without spaces. Without it one is made at the first start and shown once.',
  },
  {
    name: 'PF3_OIDC_ISSUER',
    fallback: null,
    form: 'text',
    means:
      'Issuer whose JWTs are credentials besides PF-3 tokens, exactly as in their `iss`; https, or http on loopback. See [identity](../identity.md).',
  },
  {
    name: 'PF3_OIDC_AUDIENCE',
    fallback: null,
    form: 'text',
    means: 'What their `aud` must contain; goes with the issuer.',
  },
  {
    name: 'PF3_OIDC_JWKS_URL',
    fallback: null,
    form: 'text',
    means: "Where the issuer's public keys are; without it, where its discovery document says.",
  },
  {
    name: 'PF3_OIDC_PLATFORM_ADMIN',
    fallback: 'no',
    form: 'choice',
    choices: ['no', 'yes'],
    means: 'Whether the issuer may name admins of the platform, who reach every tenant.',
  },
  {
    name: 'PF3_LOG_LEVEL',
    fallback: 'info',
    form: 'choice',
    choices: ['debug', 'info', 'warn', 'error', 'silent'],
    means: 'Least urgent lines that are written to standard error.',
  },
  {
    name: 'PF3_LOCAL_THREADS',
    fallback: '2',
    form: 'whole',
    unit: 'threads',
    min: 1,
    max: 256,
    means: 'Worker threads of the local engines.',
  },
  {
    name: 'PF3_LOCAL_PLACES',
    fallback: '64',
    form: 'whole',
    unit: 'calls',
    min: 1,
    max: 10_000,
    means: 'Calls to local engines under way at once, per partition.',
  },
  {
    name: 'PF3_REMOTE_PLACES',
    fallback: '64',
    form: 'whole',
    unit: 'calls',
    min: 1,
    max: 10_000,
    means: 'Calls to remote providers under way at once, per partition.',
  },
  {
    name: 'PF3_SCRIPTED_URL',
    fallback: null,
    form: 'text',
    means: 'Base URL of an OpenAI-compatible endpoint, known as provider `scripted`; https, or http on loopback.',
  },
  { name: 'PF3_SCRIPTED_KEY', fallback: null, form: 'secret', means: 'API key for that endpoint.' },
  {
    name: 'PF3_SCRIPTED_MODELS',
    fallback: 'scripted-1',
    form: 'text',
    means: 'Models of that endpoint, separated by commas; the first is the default.',
  },
  {
    name: 'PF3_ATTEMPTS_MAX',
    fallback: '4',
    form: 'whole',
    unit: 'attempts',
    min: 1,
    max: 20,
    means: 'Attempts of a job before it is given up.',
  },
  {
    name: 'PF3_ATTEMPT_MS_MAX',
    fallback: '120000',
    form: 'whole',
    unit: 'ms',
    min: 100,
    // What a call over HTTP can last: see `timeoutMsMax` of the providers.
    max: 300_000,
    means: 'Longest call to a provider.',
  },
  {
    name: 'PF3_RETRY_BASE_MS',
    fallback: '250',
    form: 'whole',
    unit: 'ms',
    min: 1,
    max: 60_000,
    means: 'Longest wait before the second attempt; doubles with each further one.',
  },
  {
    name: 'PF3_RETRY_MS_MAX',
    fallback: '30000',
    form: 'whole',
    unit: 'ms',
    min: 1,
    max: 3_600_000,
    means: 'Longest wait before any attempt.',
  },
  {
    name: 'PF3_OPEN_JOBS_PER_TENANT',
    fallback: '50000',
    form: 'whole',
    unit: 'jobs',
    min: 1,
    max: 1_000_000,
    means: 'Admitted jobs of one tenant that have not ended; one more is refused with queue_full.',
  },
  {
    name: 'PF3_OPEN_JOBS_PER_PARTITION',
    fallback: '200000',
    form: 'whole',
    unit: 'jobs',
    min: 1,
    max: 10_000_000,
    means: 'The same for all tenants of a partition together: bounds the memory of its owner.',
  },
  {
    name: 'PF3_WORKING_REQUESTS',
    fallback: '256',
    form: 'whole',
    unit: 'requests',
    min: 1,
    max: 100_000,
    means:
      'Requests that work at once; one more is answered with 503. Those that only wait, for the end of a job or for their own body, do not count.',
  },
  {
    name: 'PF3_OPEN_REQUESTS',
    fallback: '10000',
    form: 'whole',
    unit: 'requests',
    min: 1,
    max: 1_000_000,
    means: 'Requests under way at once, waiting or not; one more is answered with 503.',
  },
  {
    name: 'PF3_REQUESTS_PER_TENANT',
    fallback: '10000',
    form: 'whole',
    unit: 'requests',
    min: 1,
    max: 10_000_000,
    means: 'Requests of one tenant in ten seconds; one more is answered with 429.',
  },
  {
    name: 'PF3_OPEN_REQUESTS_PER_TENANT',
    fallback: '2000',
    form: 'whole',
    unit: 'requests',
    min: 1,
    max: 1_000_000,
    means: 'Requests of one tenant under way at once, waiting or not; one more is answered with 429.',
  },
  {
    name: 'PF3_FAILED_CREDENTIALS',
    fallback: '100',
    form: 'whole',
    unit: 'failures',
    min: 0,
    max: 1_000_000,
    means:
      'Failed credentials of one address in a minute; then it is answered with 429 unseen. 0, or PF3_TLS_TERMINATED=yes, for no limit: behind a proxy all come from one address.',
  },
  {
    name: 'PF3_CONTENT_DAYS',
    fallback: '30',
    form: 'whole',
    unit: 'days',
    min: 7,
    max: 90,
    means:
      'How long inputs and results are kept of a tenant that has not said so itself; then their keys are destroyed.',
  },
  {
    name: 'PF3_TENANT_WEIGHTS',
    fallback: '',
    form: 'text',
    means: 'Shares in fair queueing, as `tenant=weight` separated by commas; every other tenant has 1.',
  },
  {
    name: 'PF3_ROLLUP_WAIT_MS',
    fallback: '5000',
    form: 'whole',
    unit: 'ms',
    min: 10,
    max: 3_600_000,
    means:
      'How long what a tenant was charged waits at most before its ancestors are told: shorter is fresher, and a few more facts for every tenant that works.',
  },
  {
    name: 'PF3_SNAPSHOT_EVERY_FACTS',
    fallback: '20000',
    form: 'whole',
    unit: 'facts',
    min: 100,
    max: 10_000_000,
    means:
      'Facts of a partition between two snapshots, more when a snapshot is larger than 200 bytes for each of them: bounds what a restart reads.',
  },
  {
    name: 'PF3_SHUTDOWN_WAIT_MS',
    fallback: '10000',
    form: 'whole',
    unit: 'ms',
    min: 0,
    max: 600_000,
    means: 'How long a stopping service waits for calls that are under way.',
  },
] as const satisfies readonly Option[]

export type OptionName = (typeof options)[number]['name']
