/** What runs in the worker threads of the local engines: CPU-heavy, no I/O, nothing kept between tasks. */
import { type Classified, classify, fitLinearModel, type LinearModel } from './linear-model.ts'
import { type Sentiment, sentimentOf } from './sentiment.ts'

export type Task =
  | { kind: 'fit'; content: Uint8Array }
  | { kind: 'classify'; model: LinearModel; text: string }
  | { kind: 'sentiment'; text: string }

export type TaskResult<Kind extends Task['kind']> = Kind extends 'fit'
  ? LinearModel
  : Kind extends 'classify'
    ? Classified
    : Sentiment

/** Tinypool calls this with one task at a time per thread. */
export default function run(task: Task): LinearModel | Classified | Sentiment {
  switch (task.kind) {
    case 'fit': {
      const { labels, examples } = JSON.parse(new TextDecoder().decode(task.content)) as {
        labels: string[]
        examples: { text: string; label: string }[]
      }
      return fitLinearModel(labels, examples)
    }
    case 'classify':
      return classify(task.model, task.text)
    case 'sentiment':
      return sentimentOf(task.text)
  }
}
