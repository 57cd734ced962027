/** The `pf3` command as a person at a terminal runs it. */
import { spawn } from 'node:child_process'
import { cleanEnv, pf3Path } from '../../bin/demo/service-process.ts'

export type Ended = { code: number | null; stdout: string; stderr: string }

const endMsMax = 60_000

/** Whatever it ends with. `env`: its PF3_ options, and none of this process. A command that does not end is killed: code null. */
export async function runPf3(args: readonly string[], env: Readonly<Record<string, string>> = {}): Promise<Ended> {
  const child = spawn(process.execPath, [pf3Path, ...args], {
    env: cleanEnv(env),
    stdio: ['ignore', 'pipe', 'pipe'],
    timeout: endMsMax,
    killSignal: 'SIGKILL',
  })
  let [stdout, stderr] = ['', '']
  child.stdout.setEncoding('utf8').on('data', (text) => {
    stdout += text
  })
  child.stderr.setEncoding('utf8').on('data', (text) => {
    stderr += text
  })
  const code = await new Promise<number | null>((resolve) => child.once('close', resolve))
  return { code, stdout, stderr }
}
