/** Keeps no view: says that it has begun, and dies when it is asked how far it is. */
import { answerCalls } from '../../platform/threads/threads.ts'
import type { ViewsHome, ViewsThread } from '../thread.ts'

const { call: home, close } = answerCalls<ViewsHome>({
  async start() {
    await home.health([{ partition: 0, phase: 'running', seq: 7n, occurredAt: null, lagFacts: 0n }])
  },
  async caughtUp() {
    setImmediate(() => {
      throw new Error('the thread is ill')
    })
    await new Promise<void>(() => {})
  },
  async stop() {
    close()
  },
} satisfies ViewsThread)
