/** What every part of the stack is made of: a process that is watched until it answers, its log, and its end. */
import { type ChildProcess, spawn } from 'node:child_process'
import { closeSync, openSync, readFileSync } from 'node:fs'
import { createConnection } from 'node:net'

export type Part = {
  readonly name: string
  readonly pid: number
  /** Ends it and waits; with SIGKILL at once, otherwise after it had its time. */
  stop(signal?: NodeJS.Signals): Promise<void>
  signal(signal: NodeJS.Signals): void
  isRunning(): boolean
}

const stopWaitMs = 20_000
const lookMs = 50

export type Start = {
  name: string
  command: string
  args: readonly string[]
  cwd: string
  env?: Readonly<Record<string, string>>
  logFile: string
}

export function startPart({ name, command, args, cwd, env = {}, logFile }: Start): Part {
  const log = openSync(logFile, 'a')
  const child: ChildProcess = spawn(command, args, {
    cwd,
    env: { ...process.env, ...env },
    stdio: ['ignore', log, log],
  })
  closeSync(log)
  const ended = new Promise<void>((resolve) => {
    child.once('exit', () => resolve())
    child.once('error', () => resolve())
  })
  if (child.pid === undefined) throw new Error(`${command} cannot be started; it is looked for on the PATH.`)
  return {
    name,
    pid: child.pid,
    signal: (signal) => void child.kill(signal),
    isRunning: () => child.exitCode === null && child.signalCode === null,
    async stop(signal = 'SIGTERM') {
      child.kill(signal)
      const giveUp = setTimeout(() => child.kill('SIGKILL'), stopWaitMs)
      await ended
      clearTimeout(giveUp)
    },
  }
}

/** Waits until `isUp` answers true. Throws with the end of its log when it dies or takes too long. */
export async function answering(
  part: Part,
  logFile: string,
  waitMs: number,
  isUp: () => Promise<boolean>,
): Promise<void> {
  const endMs = Date.now() + waitMs
  for (;;) {
    if (await isUp().catch(() => false)) return
    if (!part.isRunning() || Date.now() > endMs) {
      const why = part.isRunning() ? `does not answer after ${waitMs} ms` : 'has ended'
      throw new Error(`${part.name} ${why}. The end of its log:\n${readFileSync(logFile, 'utf8').slice(-4_000)}`)
    }
    await new Promise((resolve) => setTimeout(resolve, lookMs))
  }
}

/** Whether somebody accepts connections there. */
export function isOpen(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = createConnection({ host: '127.0.0.1', port })
    const end = (isUp: boolean) => {
      socket.destroy()
      resolve(isUp)
    }
    socket.once('connect', () => end(true)).once('error', () => end(false))
  })
}
