/** Plants a bug while its file is loaded. Loaded first, by `--import`; the bug's name stands in PF3_SIM_MUTANT. */
import { registerHooks } from 'node:module'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { mutants } from './mutants.ts'

const name = process.env['PF3_SIM_MUTANT']
const mutant = mutants.find((one) => one.name === name)
if (!mutant) throw new Error(`There is no mutant ${name}.`)
const url = pathToFileURL(join(import.meta.dirname, '../..', mutant.file)).href

registerHooks({
  load(wanted, context, nextLoad) {
    const loaded = nextLoad(wanted, context)
    if (wanted !== url) return loaded
    const source = String(loaded.source)
    const places = source.split(mutant.find).length - 1
    if (places !== 1)
      throw new Error(`${mutant.name}: what it replaces stands ${places} times in ${mutant.file}, not once.`)
    return { ...loaded, source: source.replace(mutant.find, () => mutant.replace) }
  },
})
