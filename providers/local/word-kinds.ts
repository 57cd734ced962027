/** Which characters make up words, in any script. */

/** A word is a run of letters, digits, marks and a few signs that tell much about a text. */
const inWord = /[\p{L}\p{N}\p{M}$!%'_-]/u
/** Scripts written without spaces, and emoji: each character is a word of its own, its neighbours are seen as pairs. */
const alone =
  /[\p{Script=Han}\p{Script=Hiragana}\p{Script=Katakana}\p{Script=Thai}\p{Script=Lao}\p{Script=Khmer}\p{Script=Myanmar}\p{Extended_Pictographic}]/u
/** They only choose how the character before them looks. */
const variationSelector = /[\uFE00-\uFE0F]/u

export type WordKinds = {
  /** For every UTF-16 unit the unit of its lower case, or 0 when it belongs to no word. */
  folded: Uint16Array
  /** 1 for units that are words of their own. */
  isAlone: Uint8Array
}

let kinds: WordKinds | undefined

/** Made at first use, then shared: 65,536 units in some milliseconds. Surrogates belong to no word here. */
export function wordKinds(): WordKinds {
  kinds ??= make()
  return kinds
}

function make(): WordKinds {
  const folded = new Uint16Array(0x10000)
  const isAlone = new Uint8Array(0x10000)
  for (let unit = 0; unit < 0x10000; unit++) {
    const character = String.fromCharCode(unit)
    isAlone[unit] = alone.test(character) ? 1 : 0
    const isWord = isAlone[unit] === 1 || (inWord.test(character) && !variationSelector.test(character))
    folded[unit] = isWord ? character.toLowerCase().charCodeAt(0) : 0
  }
  return { folded, isAlone }
}
