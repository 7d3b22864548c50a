import { isApiError, isConnectionError } from "./errors.js";

const LONGEST_RETRY_AFTER_SECONDS = 60;

/**
 * Milliseconds until the next attempt is worth it, or undefined where none is, or only after longer than a caller would
 * wait. `retries` is how many there were.
 */
export function retryDelay(error: unknown, retries: number): number | undefined {
  // Full jitter, as clients that failed together must not come back together: of 0.5, 1, 2, 4 and then 8 seconds.
  const jitter = Math.random() * Math.min(8_000, 500 * 2 ** retries);
  if (isConnectionError(error)) return jitter;
  if (!isApiError(error) || !error.retryable) return undefined;
  const seconds = error.retryAfter ?? 0;
  return seconds <= LONGEST_RETRY_AFTER_SECONDS ? seconds * 1_000 + jitter : undefined;
}
