/** `pf3 events export`. */
import { readConfig } from '../config.ts'
import { exportFacts } from '../export-facts.ts'
import { borrowFoundation } from '../foundation.ts'
import { printLine, progress, toJson } from '../print.ts'

export async function eventsExport(given: { to: string; json?: boolean }): Promise<void> {
  const foundation = await borrowFoundation(readConfig(process.env))
  try {
    const bar = progress('facts')
    const manifest = await exportFacts(foundation, { dir: given.to, onProgress: bar.to }).finally(bar.end)
    const records = manifest.files.reduce((sum, file) => sum + file.records, 0)
    printLine(given.json ? toJson(manifest) : `${records} facts in ${manifest.files.length} files under ${given.to}`)
  } finally {
    await foundation.close()
  }
}
