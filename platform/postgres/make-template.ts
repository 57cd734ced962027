/**
 * Runs after the packages are installed: makes the template of a new database, so that the first start need not. What goes
 * wrong here is said and costs the first start a few seconds, nothing else.
 */
import { openTemplate } from './pglite-template.ts'

try {
  await openTemplate()
} catch (error) {
  process.stderr.write(`The database template could not be made; the first start will make it: ${error}\n`)
}
