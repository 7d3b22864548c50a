import { isApiError, isConnectionError } from "./errors.js";

const LONGEST_RETRY_AFTER_SECONDS = 60;

/** Milliseconds until the next attempt is worth it, or undefined where none is. `retries` is how many there were. */
export function retryDelay(error: unknown, retries: number): number | undefined {
  // Full jitter, as clients that failed together must not come back together: of 0.5, 1, 2, 4 and then 8 seconds.
  const jitter = Math.random() * Math.min(8_000, 500 * 2 ** retries);
  if (isConnectionError(error)) return jitter;
  if (!isApiError(error) || !error.retryable) return undefined;
  return Math.min(error.retryAfter ?? 0, LONGEST_RETRY_AFTER_SECONDS) * 1_000 + jitter;
}

/** Resolves after `milliseconds`, or as soon as the signal is aborted, also before. */
export async function sleep(milliseconds: number, signal: AbortSignal | undefined): Promise<void> {
  await new Promise<void>((resolve) => {
    const end = (): void => {
      clearTimeout(timer);
      signal?.removeEventListener("abort", end);
      resolve();
    };
    const timer = setTimeout(end, milliseconds);
    signal?.addEventListener("abort", end);
    if (signal?.aborted) end();
  });
}
