/** Model-based tests: commands against the real rules and a naive model of them, shrunk by fast-check when they differ. */
import fc from 'fast-check'

/** One kind of command: what is drawn for it, and what it does to both. */
export type CommandKind<Model extends object, Real> = fc.Arbitrary<fc.Command<Model, Real>>

/** A kind of command by name; `run` compares real with model. `canRun` says in which models it makes sense. */
export const command = <Model extends object, Real, Drawn>(
  name: string,
  drawn: fc.Arbitrary<Drawn>,
  run: (model: Model, real: Real, drawn: Drawn) => void,
  canRun: (model: Readonly<Model>) => boolean = () => true,
): CommandKind<Model, Real> =>
  drawn.map((one) => ({
    check: canRun,
    run: (model: Model, real: Real) => run(model, real, one),
    toString: () => `${name} ${fc.stringify(one)}`,
  }))

/** Runs many series of commands, each on a pair of its own; fails with the shortest series that shows a difference. */
export function checkModel<Model extends object, Real>(
  make: () => { model: Model; real: Real },
  kinds: CommandKind<Model, Real>[],
  { runs, commandsMax }: { runs: number; commandsMax: number },
): void {
  fc.assert(
    fc.property(fc.commands(kinds, { maxCommands: commandsMax, size: 'max' }), (commands) =>
      fc.modelRun(make, commands),
    ),
    { numRuns: runs },
  )
}
