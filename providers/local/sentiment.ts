/** vader-1: sentiment by lexicon and rules, for English (Hutto and Gilbert, 2014), through the package vader-sentiment. */
import vader from 'vader-sentiment'

export type Sentiment = {
  sentiment: 'positive' | 'neutral' | 'negative'
  /** VADER's compound score, from -1, most negative, to 1, most positive. */
  score: number
  confidence: number
  words: number
}

/** Words read, from the beginning: the package builds dozens of entries for each, and a long text must not stall others. */
export const wordsMax = 1_000
/** UTF-16 units that are looked at for words. */
export const unitsMax = 100_000
/** Units of one word that are read: the package looks for capitals in time that grows with the square of a word's length. */
const wordUnitsMax = 40
/** The authors' threshold between neutral and the rest. */
const threshold = 0.05

/**
 * `confidence` is 0.5 at the threshold and grows evenly with the score's distance from it, to 1 at the far end. It orders
 * answers of the same sentiment; it is not a measured probability.
 */
export function sentimentOf(text: string): Sentiment {
  const words = firstWords(text)
  const { compound } = vader.SentimentIntensityAnalyzer.polarity_scores(words.join(' '))
  const size = Math.abs(compound)
  if (size < threshold) {
    return { sentiment: 'neutral', score: compound, confidence: 1 - (size / threshold) * 0.5, words: words.length }
  }
  const confidence = 0.5 + ((size - threshold) / (1 - threshold)) * 0.5
  return { sentiment: compound > 0 ? 'positive' : 'negative', score: compound, confidence, words: words.length }
}

function firstWords(text: string): string[] {
  const words: string[] = []
  for (const [word] of text.slice(0, unitsMax).matchAll(/\S+/g)) {
    if (words.length === wordsMax) break
    words.push(word.slice(0, wordUnitsMax))
  }
  return words
}
