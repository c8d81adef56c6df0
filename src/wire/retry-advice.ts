import type { Failure } from "../conversation/failure.ts";

export type RetryRule = {
  /** Whether the same request may go through later. */
  retry: boolean;
  /** Said where the failure names no time of its own. */
  retryAfterSeconds?: number;
};

/** The SDKs sleep for as long as `retry-after` says; past this a client had better stop and say so. */
const RETRY_AFTER_MAX_SECONDS = 600;

/** How long a client should wait, in whole seconds, and whether a retry is no use. */
export function retryAdvice(
  failure: Failure,
  { retry, retryAfterSeconds }: RetryRule,
): { seconds: number | undefined; pointless: boolean } {
  const known = failure.retryAfterMs;
  const seconds = known === undefined ? retryAfterSeconds : Math.max(1, Math.ceil(known / 1000));
  const pointless = !retry || (seconds !== undefined && seconds > RETRY_AFTER_MAX_SECONDS);
  return { seconds, pointless };
}
