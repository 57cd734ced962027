/** Everything other rooms use of the providers. */
import type { Provider } from '../capabilities/index.ts'
import { type LocalProviderOptions, localProvider } from './local/local-provider.ts'
import {
  type OpenAiCompatibleOptions,
  openAiCompatibleProvider,
} from './openai-compatible/openai-compatible-provider.ts'

export { type LocalProviderOptions, localProvider } from './local/local-provider.ts'
export {
  type OpenAiCompatibleOptions,
  openAiCompatibleProvider,
  timeoutMsMax,
} from './openai-compatible/openai-compatible-provider.ts'
export type { Act, Rule } from './scripted/script.ts'
export { type ScriptedProvider, startScriptedProvider } from './scripted/scripted-provider.ts'

export type ProvidersConfig = {
  local: LocalProviderOptions
  /** Endpoints over HTTP, in the order in which routes try them; names must differ, and none is `local`. */
  openAiCompatible: readonly OpenAiCompatibleOptions[]
}

/** All providers of a process, the local engines first. Nothing is started or called before the first job. */
export function providersFor({ local, openAiCompatible }: ProvidersConfig): Provider[] {
  const providers = [localProvider(local), ...openAiCompatible.map(openAiCompatibleProvider)]
  const twice = providers.find(({ name }, at) => providers.findIndex((other) => other.name === name) !== at)
  if (twice) throw new RangeError(`Two providers are called ${twice.name}.`)
  return providers
}
