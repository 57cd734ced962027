/** Commands whose output somebody stops reading, as `head` does. */
import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import { expect, test } from 'vitest'
import { cleanEnv, pf3Path } from '../../bin/demo/service-process.ts'
import { stage } from './stage.ts'

const run = promisify(execFile)

test('a command whose reader has gone says nothing of it and ends as it would have', async () => {
  const scene = await stage({ connectionsMax: 4 })
  await scene.tenant('harbor')
  /** Its last word is the exit code of the command, whatever that of the reader is. */
  const throughPipe = (args: string, reader: string) =>
    run('bash', ['-c', `"$NODE" "$PF3" ${args} | ${reader}; echo "ended with \${PIPESTATUS[0]}"`], {
      env: {
        ...cleanEnv({ PF3_DATA_DIR: scene.dataDir }),
        NODE: process.execPath,
        PF3: pf3Path,
        PATH: process.env.PATH,
      },
      timeout: 30_000,
    })
  expect(await throughPipe('projections rebuild --all', 'head -n 1')).toEqual({
    stdout: expect.stringMatching(/^job-list: 0 rows .*\nended with 0\n$/),
    stderr: '',
  })
  expect(await throughPipe('doctor', 'true')).toEqual({ stdout: 'ended with 0\n', stderr: '' })

  // One that would go on for ever notices it when it has something more to say.
  let isOver = false
  const tail = throughPipe('events tail --from-start', 'head -n 1').finally(() => {
    isOver = true
  })
  for (let n = 0; !isOver; n++) {
    await scene.tenant(`pier-${n}`)
    await new Promise((resolve) => setTimeout(resolve, 50))
  }
  expect(await tail).toEqual({ stdout: expect.stringMatching(/^\S+ \d+\/1 .*\nended with 0\n$/), stderr: '' })
}, 90_000)
