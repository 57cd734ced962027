/** The formats of JSON Schema, for a validator; the package speaks CommonJS, and its types do not say so. */
import { createRequire } from 'node:module'
import type { Ajv2020 } from 'ajv/dist/2020.js'

export const addFormats: (ajv: Ajv2020) => Ajv2020 = createRequire(import.meta.url)('ajv-formats')
