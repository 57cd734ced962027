/** Everything other rooms use of the providers. */
export { type LocalProviderOptions, localProvider } from './local/local-provider.ts'
export {
  type OpenAiCompatibleOptions,
  openAiCompatibleProvider,
} from './openai-compatible/openai-compatible-provider.ts'
export { type Act, type Rule, type ScriptedProvider, startScriptedProvider } from './scripted/scripted-provider.ts'
