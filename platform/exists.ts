/** Whether something is there. */
import { stat } from 'node:fs/promises'

/** False also where it cannot be told. */
export const exists = (path: string): Promise<boolean> =>
  stat(path).then(
    () => true,
    () => false,
  )
