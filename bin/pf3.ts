#!/usr/bin/env node
/** The `pf3` command. Exit codes: 0 done, 1 a difference or a failed check, 2 wrong usage or configuration, 3 the machine. */
import { enableCompileCache } from 'node:module'
import { Command, CommanderError } from 'commander'
import aboutPackage from '../package.json' with { type: 'json' }
import { requireTls13 } from '../platform/tls.ts'
import { placeOptions, refuseWithoutArchive } from './archive-options.ts'
import type { ReplayGiven } from './commands/replay.ts'
import { ConfigError } from './config.ts'
import { outlastReaders } from './output.ts'

// Compiled code is kept between runs (in the system's temporary directory): half of a warm start is loading code.
enableCompileCache()
requireTls13()
outlastReaders()

const program = new Command('pf3')
  .description('PF-3, the AI job platform of WebWaka.')
  .addHelpText(
    'after',
    '\nExit codes: 0 done, 1 a difference or a failed check, 2 wrong usage or configuration, 3 trouble with the machine.\nConfiguration: docs/reference/config.md.',
  )
  .version(aboutPackage.version)
  .exitOverride()
  .showHelpAfterError()

const withPlace = (command: Command): Command =>
  placeOptions.reduce((all, [flags, means]) => all.option(flags, means), command)

program
  .command('start')
  .description('Starts the service.')
  .option('--roles <roles>', 'which roles this process has, separated by commas', 'api,owner,projections')
  .option('--json', 'announce readiness as one line of JSON')
  .action(async (given: { roles: string; json?: boolean }) => (await import('./commands/start.ts')).start(given))

program
  .command('doctor')
  .description('Looks at everything the service needs; exit code 1 when something is wrong, with what to do.')
  .option('--json', 'print the findings as JSON')
  .action(async (given: { json?: boolean }) => (await import('./commands/doctor.ts')).doctor(given))

program
  .command('demo')
  .description('Runs the help-desk story on 6,046 real mails, kills the service half-way, and checks every figure.')
  .option('--mails <n>', 'submit only so many of the held-out mails')
  .option(
    '--plant <fault>',
    'spoil the exported events before they are checked, which must end with 1: wrong-price, lost-event, charged-twice or cap-overrun',
  )
  .option('--json', 'print the summary as JSON')
  .action(async (given: { mails?: string; plant?: string; json?: boolean }) =>
    (await import('./demo/demo.ts')).demo(given),
  )

const topics = program.command('topics').description('Looks after topics and schemas on Kafka.')
topics
  .command('apply')
  .description('Makes topics, settings and schemas as this build needs them; refuses what cannot be changed.')
  .option('--json', 'print what was done as JSON')
  .action(async (given: { json?: boolean }) => (await import('./commands/topics.ts')).topicsApply(given))
topics
  .command('diff')
  .description('Says what apply would do; exit code 1 when there is anything.')
  .option('--json', 'print it as JSON')
  .action(async (given: { json?: boolean }) => (await import('./commands/topics.ts')).topicsDiff(given))

const events = program.command('events').description('Reads the log.')
events
  .command('tail')
  .description('Prints facts as they are committed.')
  .option('--tenant <id>', 'only of this tenant')
  .option('--from-start', 'everything there is first')
  .option('--json', 'one JSON object a line')
  .action(async (given: { tenant?: string; fromStart?: boolean; json?: boolean }) =>
    (await import('./commands/events-tail.ts')).eventsTail(given),
  )
events
  .command('export')
  .description('Writes every fact as Avro files, with a manifest.')
  .requiredOption('--to <dir>', 'a directory that does not exist yet')
  .option('--json', 'print the manifest')
  .action(async (given: { to: string; json?: boolean }) =>
    (await import('./commands/events-export.ts')).eventsExport(given),
  )

withPlace(program.command('replay'))
  .description("Derives a tenant's charges of one billing period from the log again.")
  .requiredOption('--tenant <id>', 'the tenant')
  .requiredOption('--period <YYYY-MM>', 'the billing period')
  .option(
    '--price-book <file>',
    'what it would have cost under this price book; --diff then shows what would be other, and the ledger stays out',
  )
  .option('--archive <place>', 'from the archive there instead of the log; --diff then leaves the ledger out')
  .option('--public-key <file>', 'PEM of the key the archive is signed with; default that of this installation')
  .option(
    '--diff',
    'compare with what was charged and with the ledger; exit code 1 when anything differs, but not under another price book',
  )
  .option('--json', 'print the result as JSON')
  .action(async (given: ReplayGiven) => {
    refuseWithoutArchive(given)
    await (await import('./commands/replay.ts')).replayCommand(given)
  })

const archive = program
  .command('archive')
  .description('Keeps every fact outside the log, signed, for as long as the law wants.')
withPlace(archive.command('write'))
  .description('Puts what is new in the log into the archive.')
  .requiredOption('--to <place>', 'a directory, or s3://bucket/prefix')
  .option('--json', 'print the result as JSON')
  .action(async (given: { to: string; json?: boolean }) => (await import('./commands/archive.ts')).archiveWrite(given))
withPlace(archive.command('check'))
  .description('Reads the whole archive; exit code 1 when something is not as it was signed.')
  .requiredOption('--from <place>', 'a directory, or s3://bucket/prefix')
  .option('--public-key <file>', 'PEM of the key it is signed with; default that of this installation')
  .option('--json', 'print the result as JSON')
  .action(async (given: { from: string; publicKey?: string; json?: boolean }) =>
    (await import('./commands/archive.ts')).archiveCheck(given),
  )

const projections = program.command('projections').description('Looks after the views.')
projections
  .command('rebuild [name]')
  .description('Fills a view anew from the log, beside the live one, and puts it in its place.')
  .option('--all', 'every view, one after another')
  .option('--json', 'print the result as JSON')
  .action(async (name: string | undefined, given: { all?: boolean; json?: boolean }) =>
    (await import('./commands/projections-rebuild.ts')).projectionsRebuild(name, given),
  )

for (const group of [program, topics, events, archive, projections]) addHelp(group)

try {
  await program.parseAsync()
} catch (error) {
  process.exitCode = exitCodeOf(error)
  if (!(error instanceof CommanderError))
    process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`)
}

/** In the place of commander's own, which shows everything for a command that is none, as if nothing were wrong. */
function addHelp(group: Command): void {
  group
    .helpCommand(false)
    .command('help [command...]')
    .description('Says how to use a command.')
    .action((names: string[]) => {
      let about = group
      for (const name of names) {
        const found = about.commands.find((one) => one.name() === name)
        if (!found) return about.error(`error: unknown command '${name}'`)
        about = found
      }
      about.help()
    })
}

function exitCodeOf(error: unknown): number {
  if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : 2
  if (error instanceof ConfigError) return 2
  return 3 // Whatever it was, it was not what was asked for.
}
