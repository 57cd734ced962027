/** Where the Kafka and the registry of this run are; `npm run test:kafka` says so. */
const setting = (name: string): string => {
  const value = process.env[name]
  if (!value) throw new Error(`${name} is not set: run these with npm run test:kafka`)
  return value
}

export const brokers = (): string => setting('PF3_TEST_KAFKA_BROKERS')
export const registryUrl = (): string => setting('PF3_TEST_REGISTRY_URL')
