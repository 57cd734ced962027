/** The table at the end of the demo. */
import { printLine, toJson } from '../print.ts'
import type { Check, Evidence } from './checks.ts'
import { quantile } from './fairness.ts'

export type Times = { totalMs: number; coldStartMs: number }

export function showSummary(checks: readonly Check[], evidence: Evidence, times: Times): void {
  const { plan, story, verified, fairness, replayed, rebuilt, quality } = evidence
  const rows = [
    ['', 'system', 'held against', 'by', ''],
    ...checks.map(({ what, system, against, by, isTrue }) => [what, system, against, by, isTrue ? 'ok' : 'WRONG']),
  ]
  const widths = [0, 1, 2, 3].map((at) => Math.max(...rows.map((row) => row[at]?.length ?? 0)))
  printLine('')
  for (const [what = '', system = '', against = '', by = '', verdict = ''] of rows) {
    printLine(
      `${what.padEnd(widths[0] ?? 0)}  ${system.padStart(widths[1] ?? 0)}  ${against.padStart(widths[2] ?? 0)}  ${by.padEnd(widths[3] ?? 0)}  ${verdict}`.trimEnd(),
    )
  }
  const jobs = story.answers.flood.length + story.answers.urgent.length
  const urgent = fairness.waits[plan.urgent.id] ?? []
  const flood = fairness.waits[plan.flood.id] ?? []
  const answered = [...story.urgentWait.clientMs].sort((a, b) => a - b)
  printLine('')
  printLine(
    `${jobs} jobs in ${seconds(story.tookMs)} over HTTP, ${seconds(story.kill.downMs)} of it down; clients asked again ${story.repeats} times.`,
  )
  printLine(
    `Spam or not: accuracy ${quality.accuracy.toFixed(4)}, precision ${quality.precision.toFixed(4)}, recall ${quality.recall.toFixed(4)} on ${quality.mails} mails it had not seen.`,
  )
  printLine(
    `${plan.urgent.id} beside ${story.urgentWait.floodOpen} open jobs of ${plan.flood.id}: started after ${spread(urgent)}, answered after ${spread(answered)}.`,
  )
  printLine(`${plan.flood.id}: started after ${spread(flood)}.`)
  printLine(
    `${verified.events} events verified by separate code; ${replayed.reduce((sum, one) => sum + Number(one.lines), 0)} ledger lines derived again; ${rebuilt.length} views rebuilt.`,
  )
  for (const { check, says } of verified.problems.slice(0, problemsShown))
    printLine(`The verifier objects (${check}): ${says}`)
  const wrong = checks.filter((check) => !check.isTrue).length
  printLine(
    wrong === 0
      ? `All ${checks.length} checks hold. ${seconds(times.totalMs)} in all.`
      : `${wrong} of ${checks.length} checks do NOT hold.`,
  )
}

export function printJson(checks: readonly Check[], evidence: Evidence, times: Times): void {
  const { story, verified, fairness, replayed, rebuilt, quality } = evidence
  const wait = (list: readonly number[] = []) => ({ medianMs: quantile(list, 0.5), longestMs: quantile(list, 1) })
  printLine(
    toJson(
      {
        isTrue: checks.every((check) => check.isTrue),
        checks,
        quality,
        kill: story.kill,
        waits: {
          floodOpen: story.urgentWait.floodOpen,
          urgent: wait(fairness.waits[evidence.plan.urgent.id]),
          flood: wait(fairness.waits[evidence.plan.flood.id]),
        },
        repeats: story.repeats,
        eventsVerified: verified.events,
        problems: verified.problems.slice(0, problemsShown),
        replayed,
        rebuilt,
        times: { ...times, storyMs: story.tookMs },
      },
      2,
    ),
  )
}

const problemsShown = 5
const seconds = (ms: number): string => `${(ms / 1_000).toFixed(1)} s`
const spread = (ascending: readonly number[]): string =>
  `${Math.round(quantile(ascending, 0.5))} ms (half of them), ${Math.round(quantile(ascending, 1))} ms (all)`
