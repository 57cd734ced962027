/** What a broker of the stack is told: its `server.properties`. */

export type Secured = {
  /** PEM, for the name localhost. It is its own authority. */
  cert: string
  key: string
  /** The one user there is, of clients and of the brokers among themselves: letters and digits, which nothing has to escape. */
  username: string
  password: string
}

export type BrokerSettings = {
  id: number
  clientPort: number
  controllerPort: number
  voters: string
  brokerCount: 1 | 3
  dataDir: string
  /** Files of PEM: key and certificate, and the authority; with them TLS 1.3 and SCRAM-SHA-512 or nothing. */
  secured?: { keyStore: string; trustStore: string; username: string; password: string } | undefined
  /** Properties that are otherwise than `brokerRules` has them. */
  rules?: Readonly<Record<string, string>> | undefined
}

/** Where clients reach a broker: by the name that its certificate is for, when it has one. */
export const addressOf = ({ clientPort, secured }: Pick<BrokerSettings, 'clientPort' | 'secured'>): string =>
  `${secured ? 'localhost' : '127.0.0.1'}:${clientPort}`

/** What does not depend on where a broker is. */
export function brokerRules(brokerCount: 1 | 3): Record<string, string> {
  const replicas = String(brokerCount)
  const inSyncMin = brokerCount === 3 ? '2' : '1'
  return {
    'auto.create.topics.enable': 'false',
    'offsets.topic.replication.factor': replicas,
    'offsets.topic.num.partitions': '12',
    'transaction.state.log.replication.factor': replicas,
    'transaction.state.log.min.isr': inSyncMin,
    'transaction.state.log.num.partitions': '12',
    'min.insync.replicas': inSyncMin,
    'default.replication.factor': replicas,
    'group.initial.rebalance.delay.ms': '0',
    // A group that stands empty for longer than this loses its offsets; ours are what was taken of the intake.
    'offsets.retention.minutes': '5256000',
  }
}

export function serverProperties(of: BrokerSettings): string {
  const properties: Record<string, string> = {
    ...brokerRules(of.brokerCount),
    'process.roles': 'broker,controller',
    'node.id': String(of.id),
    'controller.quorum.voters': of.voters,
    'controller.listener.names': 'CONTROLLER',
    listeners: `CLIENT://127.0.0.1:${of.clientPort},CONTROLLER://127.0.0.1:${of.controllerPort}`,
    'advertised.listeners': `CLIENT://${addressOf(of)}`,
    'inter.broker.listener.name': 'CLIENT',
    'listener.security.protocol.map': `CONTROLLER:PLAINTEXT,CLIENT:${of.secured ? 'SASL_SSL' : 'PLAINTEXT'}`,
    'log.dirs': of.dataDir,
    ...(of.secured && securedBy(of.secured)),
    ...of.rules,
  }
  return Object.entries(properties)
    .map(([key, value]) => `${key}=${value}\n`)
    .join('')
}

const scram = 'SCRAM-SHA-512'
const loginModule = 'org.apache.kafka.common.security.scram.ScramLoginModule'

const securedBy = ({ keyStore, trustStore, username, password }: NonNullable<BrokerSettings['secured']>) => ({
  'ssl.enabled.protocols': 'TLSv1.3',
  'ssl.keystore.type': 'PEM',
  'ssl.keystore.location': keyStore,
  'ssl.truststore.type': 'PEM',
  'ssl.truststore.location': trustStore,
  'sasl.enabled.mechanisms': scram,
  'sasl.mechanism.inter.broker.protocol': scram,
  [`listener.name.client.${scram.toLowerCase()}.sasl.jaas.config`]: `${loginModule} required username="${username}" password="${password}";`,
})

/** How the user gets into the cluster before anybody can log in: words for `kafka-storage format`. */
export const formattingUser = ({ username, password }: Pick<Secured, 'username' | 'password'>): string[] => [
  '--add-scram',
  `${scram}=[name=${username},password=${password}]`,
]
