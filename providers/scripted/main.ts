/** Starts the scripted provider for development: `node providers/scripted/main.ts [port] [script.json]`. */
import { readFileSync } from 'node:fs'
import { type Rule, startScriptedProvider } from './scripted-provider.ts'

const [port = '4010', scriptFile] = process.argv.slice(2)
const script = scriptFile === undefined ? [] : (JSON.parse(readFileSync(scriptFile, 'utf8')) as Rule[])
const provider = await startScriptedProvider({ port: Number(port), script })
process.stdout.write(`PF3_SCRIPTED_URL=${provider.baseUrl}\n`)
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => void provider.close())
