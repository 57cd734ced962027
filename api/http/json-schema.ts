/** JSON Schemas as the description of the API has them: made from the forms that requests are checked by. */
import { z } from 'zod'

type Json = { [name: string]: unknown }

/** Without the dialect, which the document names once. */
export const bare = ({ $schema: _, ...schema }: Json): Json => schema

/** Of what a caller sends: fields with a default may be left out. */
export const inputSchema = (form: z.ZodType): Json => bare(z.toJSONSchema(form, { io: 'input' }))
