/** vader-1: sentiment by lexicon and rules (Hutto and Gilbert, 2014), through the package vader-sentiment. */
import vader from 'vader-sentiment'

export type Sentiment = {
  sentiment: 'positive' | 'neutral' | 'negative'
  score: number
  confidence: number
  words: number
}

/** Characters looked at, from the beginning: the rules compare neighbours of every word, and a long text must not stall others. */
const charactersMax = 10_000
/** The authors' threshold between neutral and the rest. */
const threshold = 0.05

/**
 * `confidence` grows with the distance of the score from the thresholds: 0.5 at a threshold, 1 at the far end. It orders
 * answers; it is not a measured probability.
 */
export function sentimentOf(text: string): Sentiment {
  const read = text.slice(0, charactersMax)
  const { compound } = vader.SentimentIntensityAnalyzer.polarity_scores(read)
  const words = read.split(/\s+/).filter((word) => word !== '').length
  const size = Math.min(1, Math.abs(compound))
  if (size < threshold)
    return { sentiment: 'neutral', score: compound, confidence: 1 - (size / threshold) * 0.5, words }
  const confidence = 0.5 + ((size - threshold) / (1 - threshold)) * 0.5
  return { sentiment: compound > 0 ? 'positive' : 'negative', score: compound, confidence, words }
}
