/** Whether anybody still reads what a command prints. */

const gone = new AbortController()
/** Aborted when who reads the standard output has gone, as `head` does when it has enough. */
export const outputGone: AbortSignal = gone.signal

/** What is printed for nobody is lost, and that is no failure: what a command does, and its exit code, stay what they are. */
export function outlastReaders(): void {
  process.stdout.on('error', (error: NodeJS.ErrnoException) => {
    pass(error)
    gone.abort()
  })
  process.stderr.on('error', pass)
}

function pass(error: NodeJS.ErrnoException): void {
  if (error.code !== 'EPIPE') throw error
}
