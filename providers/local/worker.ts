/** What runs in the worker threads of the local engines: CPU-heavy, no I/O, nothing kept between tasks. */
import { type Classified, classify, type Example, fitLinearModel, type LinearModel } from './linear-model.ts'
import { type Sentiment, sentimentOf } from './sentiment.ts'

/** A task and what comes of it. */
export type Work = {
  fit: { task: { kind: 'fit'; content: Uint8Array }; result: LinearModel }
  classify: { task: { kind: 'classify'; model: LinearModel; text: string }; result: Classified }
  sentiment: { task: { kind: 'sentiment'; text: string }; result: Sentiment }
}
export type Task = Work[keyof Work]['task']

export type Outcome = { ok: true; result: Work[keyof Work]['result'] } | { ok: false; error: unknown }

/** The pool calls this with the tasks of one message, one message at a time per thread. Answers one outcome each, in order. */
export const run = (tasks: readonly Task[]): Outcome[] =>
  tasks.map((task) => {
    try {
      return { ok: true, result: resultOf(task) }
    } catch (error) {
      return { ok: false, error }
    }
  })

/** Throws for content that is no label set. */
function resultOf(task: Task): LinearModel | Classified | Sentiment {
  switch (task.kind) {
    case 'fit': {
      // Validated when it was registered, and sealed since.
      const { labels, examples } = JSON.parse(new TextDecoder().decode(task.content)) as {
        labels: string[]
        examples: Example[]
      }
      return fitLinearModel(labels, examples)
    }
    case 'classify':
      return classify(task.model, task.text)
    case 'sentiment':
      return sentimentOf(task.text)
  }
}
