/** What `pf3 doctor` finds. */

/** `problem`: undefined when it is as it should be; then `found` says what that is. */
export type Finding = { what: string; found: string } | { what: string; problem: string; remedy: string }
