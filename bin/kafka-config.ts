/** What the profile `kafka` needs besides: brokers, registry, and what all processes of one installation must share. */
import { readFileSync } from 'node:fs'
import type { KafkaConnection } from '../platform/log/kafka/client.ts'
import type { RegistryConnection } from '../platform/registry/registry.ts'
import { holdsLogin, isSafeUrl } from '../platform/safe-url.ts'
import { isLoopback } from '../platform/tls.ts'
import type { OptionName } from './options.ts'

export type KafkaConfig = {
  connection: Pick<KafkaConnection, 'brokers' | 'tls' | 'sasl'>
  topicPrefix: string
  /** Undefined leaves it to the brokers. */
  replicationFactor: number | undefined
  registry: RegistryConnection
}

type Maybe = (name: OptionName) => string | undefined

/** Undefined on the embedded profile. Says what is missing or does not go together in `wrong`. */
export function kafkaFrom(isKafka: boolean, maybe: Maybe, wrong: string[]): KafkaConfig | undefined {
  if (!isKafka) {
    for (const name of ['PF3_KAFKA_BROKERS', 'PF3_REGISTRY_URL'] as const)
      if (maybe(name) !== undefined) wrong.push(`${name}: goes with PF3_PROFILE=kafka, which is not set`)
    return undefined
  }
  const needs: readonly [OptionName, string][] = [
    ['PF3_KAFKA_BROKERS', 'where the log is'],
    ['PF3_REGISTRY_URL', 'where the schemas of its records are'],
    ['PF3_POSTGRES_URL', 'the views of several processes, which the built-in database cannot hold'],
    ['PF3_ROOT_TOKEN', 'the same in every process'],
  ]
  for (const [name, why] of needs)
    if (maybe(name) === undefined) wrong.push(`${name}: PF3_PROFILE=kafka needs it: ${why}`)
  const prefix = maybe('PF3_TOPIC_PREFIX') ?? ''
  if (!/^[a-z0-9][a-z0-9._-]{0,63}$/i.test(prefix))
    wrong.push('PF3_TOPIC_PREFIX: 1 to 64 letters, digits, dots, dashes or underscores were expected')
  const replication = maybe('PF3_KAFKA_REPLICATION')
  if (replication !== undefined && !/^[1-9]$/.test(replication))
    wrong.push(`PF3_KAFKA_REPLICATION: a whole number from 1 to 9 was expected, not ${JSON.stringify(replication)}`)
  return {
    connection: connectionFrom(maybe, wrong),
    topicPrefix: prefix,
    replicationFactor: replication === undefined ? undefined : Number(replication),
    registry: registryFrom(maybe, wrong),
  }
}

function connectionFrom(maybe: Maybe, wrong: string[]): KafkaConfig['connection'] {
  const brokers = (maybe('PF3_KAFKA_BROKERS') ?? '')
    .split(',')
    .flatMap((one) => (one.trim() === '' ? [] : [one.trim()]))
  for (const broker of brokers)
    if (!/^(\[[0-9a-f:]+\]|[a-z0-9._-]+):\d{1,5}$/i.test(broker))
      wrong.push(`PF3_KAFKA_BROKERS: host:port was expected, not ${JSON.stringify(broker)}`)
  const isTls = maybe('PF3_KAFKA_TLS') === 'yes'
  const outside = brokers.filter((broker) => broker.includes(':') && !isLoopback(hostOf(broker)))
  if (!isTls && outside.length > 0)
    wrong.push(`PF3_KAFKA_TLS: brokers outside loopback need yes: ${outside.join(', ')}`)
  if (!isTls && maybe('PF3_KAFKA_CA_FILE') !== undefined)
    wrong.push('PF3_KAFKA_CA_FILE: goes with PF3_KAFKA_TLS=yes, which is not set')
  const login = loginFrom('PF3_KAFKA_USERNAME', 'PF3_KAFKA_PASSWORD', maybe, wrong)
  return {
    brokers,
    ...(isTls && { tls: { ca: authorityFrom('PF3_KAFKA_CA_FILE', maybe, wrong) ?? true } }),
    ...(login && { sasl: login }),
  }
}

const hostOf = (broker: string): string => broker.slice(0, broker.lastIndexOf(':'))

function registryFrom(maybe: Maybe, wrong: string[]): RegistryConnection {
  const url = maybe('PF3_REGISTRY_URL') ?? ''
  if (holdsLogin(url))
    wrong.push('PF3_REGISTRY_URL: user and password go into PF3_REGISTRY_USERNAME and PF3_REGISTRY_PASSWORD')
  else if (url !== '' && !isSafeUrl(url))
    wrong.push('PF3_REGISTRY_URL: an https URL, or an http one on loopback, was expected')
  const ca = authorityFrom('PF3_REGISTRY_CA_FILE', maybe, wrong)
  const login = loginFrom('PF3_REGISTRY_USERNAME', 'PF3_REGISTRY_PASSWORD', maybe, wrong)
  return { url, ...(ca !== undefined && { ca }), ...(login && { login }) }
}

function loginFrom(userName: OptionName, passwordName: OptionName, maybe: Maybe, wrong: string[]) {
  const [username, password] = [maybe(userName), maybe(passwordName)]
  if (username !== undefined && password === undefined)
    wrong.push(`${userName}: goes with ${passwordName}, which is not set`)
  if (username === undefined && password !== undefined)
    wrong.push(`${passwordName}: goes with ${userName}, which is not set`)
  return username === undefined || password === undefined ? undefined : { username, password }
}

function authorityFrom(name: OptionName, maybe: Maybe, wrong: string[]): string | undefined {
  const path = maybe(name)
  if (path === undefined) return undefined
  try {
    const text = readFileSync(path, 'utf8')
    if (text.includes('-----BEGIN CERTIFICATE-----')) return text
    wrong.push(`${name}: ${path} holds no certificate in PEM`)
  } catch (error) {
    wrong.push(`${name}: ${path} cannot be read: ${error instanceof Error ? error.message : error}`)
  }
  return undefined
}
