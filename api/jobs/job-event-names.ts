/** Names of the events that tell what happens to a job, in the order in which they can come first. */
export const jobEventNames = [
  'submitted',
  'admitted',
  'refused',
  'attempt-started',
  'attempt-failed',
  'cancel-requested',
  'succeeded',
  'failed',
  'cancelled',
  'rated',
] as const
