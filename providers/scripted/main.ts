/** Starts the scripted provider for development: `node providers/scripted/main.ts [port] [script.json]`. */
import { readFileSync } from 'node:fs'
import { z } from 'zod'
import { scriptSchema } from './script.ts'
import { startScriptedProvider } from './scripted-provider.ts'

const [port = '4010', scriptFile] = process.argv.slice(2)
const script = scriptSchema.safeParse(scriptFile === undefined ? [] : JSON.parse(readFileSync(scriptFile, 'utf8')))
if (script.success) {
  const { rules, seed, isIdempotent } = script.data
  const provider = await startScriptedProvider({ port: Number(port), script: rules, seed, isIdempotent })
  process.stdout.write(`PF3_SCRIPTED_URL=${provider.baseUrl}\n`)
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => void provider.close())
} else {
  console.error(`${scriptFile}:\n${z.prettifyError(script.error)}`)
  process.exitCode = 2
}
