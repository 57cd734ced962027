/** The story of the demo: who asks for what, under which caps and prices, and what must come of it. */
import type { Corpus, Mail } from './corpus.ts'
import { mailLabels } from './corpus.ts'

export type PlannedJob = {
  /** Idempotency-Key, unique within the tenant. */
  key: string
  mail: Mail
  body: { capability: string; input: { text: string }; params?: { labelSetId: string }; priority?: number }
}
export type PlannedCap = {
  id: string
  body: {
    metric: 'requests' | 'money'
    limit: number | string
    period: 'total' | 'month'
    scope?: { capability: string }
  }
}
export type PlannedTenant = {
  id: string
  name: string
  /** In the order they are submitted. */
  jobs: PlannedJob[]
  caps: PlannedCap[]
  /** Jobs that the caps must refuse, whatever the order in which they arrive. */
  refusalsExpected: number
}
export type Plan = {
  partner: { id: string; name: string }
  /** Thousands of mails. */
  flood: PlannedTenant
  /** A few urgent ones in the middle. */
  urgent: PlannedTenant
  labelSet: { id: string; labels: readonly string[]; examples: { text: string; label: string }[] }
  book: object
  currency: string
  timeZone: string
}

const labelSetId = 'mail'
const category = 'classify.category'
const sentiment = 'classify.sentiment'

/** One of so many of the flood's mails is also asked for its sentiment. */
const sentimentEvery = 10
/** Share of those that the cap on requests lets through. */
const sentimentShare = 0.75
const urgentCategories = 44
const urgentCategoriesAllowed = 40
const urgentSentiments = 16
/** A sentiment costs the same whatever its length: what is held is what is charged, so money divides into jobs exactly. */
const sentimentPrice = '0.4'
const urgentSentimentBudget = '4'
const urgentSentimentsAllowed = 10

/** `mailsMax`: only so many of the held-out mails, and as many examples; all of them by default. */
export function planOf(corpus: Corpus, mailsMax = Number.POSITIVE_INFINITY): Plan {
  const heldOut = spread(corpus.heldOut, mailsMax)
  const examples = spread(corpus.examples, mailsMax)
  const jobOf = (mail: Mail, capability: string, priority?: number): PlannedJob => ({
    key: `${capability}:${mail.id}`,
    mail,
    body: {
      capability,
      input: { text: mail.text },
      ...(capability === category && { params: { labelSetId } }),
      ...(priority !== undefined && { priority }),
    },
  })
  const floodJobs = heldOut.flatMap((mail, at) =>
    at % sentimentEvery === 0 ? [jobOf(mail, category), jobOf(mail, sentiment)] : [jobOf(mail, category)],
  )
  const sentiments = Math.ceil(heldOut.length / sentimentEvery)
  const sentimentsAllowed = Math.floor(sentiments * sentimentShare)
  const urgentMails = spread(heldOut, urgentCategories)
  const urgentJobs = [
    ...urgentMails.map((mail) => jobOf(mail, category, 1)),
    ...urgentMails.slice(0, urgentSentiments).map((mail) => jobOf(mail, sentiment, 1)),
  ]
  return {
    partner: { id: 'lagoon-care', name: 'Lagoon Care' },
    flood: {
      id: 'marina-desk',
      name: 'Marina help desk',
      jobs: floodJobs,
      caps: [
        {
          id: 'sentiment-requests',
          body: { metric: 'requests', limit: sentimentsAllowed, period: 'total', scope: { capability: sentiment } },
        },
        { id: 'month-budget', body: { metric: 'money', limit: '12500', period: 'month' } },
      ],
      refusalsExpected: sentiments - sentimentsAllowed,
    },
    urgent: {
      id: 'pier-desk',
      name: 'Pier help desk',
      jobs: urgentJobs,
      caps: [
        {
          id: 'category-requests',
          body: {
            metric: 'requests',
            limit: urgentCategoriesAllowed,
            period: 'total',
            scope: { capability: category },
          },
        },
        {
          id: 'sentiment-budget',
          body: { metric: 'money', limit: urgentSentimentBudget, period: 'total', scope: { capability: sentiment } },
        },
      ],
      refusalsExpected:
        Math.max(0, urgentMails.length - urgentCategoriesAllowed) +
        Math.max(0, Math.min(urgentMails.length, urgentSentiments) - urgentSentimentsAllowed),
    },
    labelSet: { id: labelSetId, labels: mailLabels, examples: examples.map(({ text, label }) => ({ text, label })) },
    book: priceBook,
    currency: priceBook.currency,
    timeZone: 'Africa/Lagos',
  }
}

/** So many of the mails, taken evenly: the corpus stands in order of its folders. */
function spread(mails: readonly Mail[], most: number): Mail[] {
  const count = Math.min(most, mails.length)
  return Array.from({ length: count }, (_, at) => mails[Math.floor((at * mails.length) / count)]).filter(
    (mail) => mail !== undefined,
  )
}

const free = {
  perRequest: '0',
  perMillionInputTokens: '0',
  perMillionCacheReadTokens: '0',
  perMillionCacheWriteTokens: '0',
  perMillionOutputTokens: '0',
}

const priceBook = {
  name: 'help-desk',
  currency: 'NGN',
  effectiveFrom: '2026-01-01T00:00:00Z',
  entries: [
    {
      capability: category,
      provider: 'local',
      model: 'linear-1',
      price: {
        perRequest: '0.3175',
        perMillionInputTokens: '289.500001',
        perMillionCacheReadTokens: '144.75',
        perMillionCacheWriteTokens: '289.5',
        perMillionOutputTokens: '965.25',
      },
      ownKeyPrice: { ...free, perRequest: '0.08' },
      cost: free,
    },
    {
      capability: sentiment,
      provider: 'local',
      model: '*',
      price: { ...free, perRequest: sentimentPrice },
      ownKeyPrice: { ...free, perRequest: '0.08' },
      cost: free,
    },
  ],
}
