"""When a call that failed is worth another attempt: by the same rule as in ts-client/src/retry.ts."""

import random

from adapter.errors import TorchbridgeError

_LONGEST_RETRY_AFTER = 60  # seconds


def retry_delay(error: TorchbridgeError, num_retries: int) -> float | None:
    """Seconds until the next attempt is worth it, or None where none is. num_retries: how many there were."""
    if not error.retryable:
        return None
    # Full jitter, as clients that failed together must not come back together: of 0.5, 1, 2, 4 and then 8 seconds.
    jitter = random.uniform(0, min(8.0, 0.5 * 2**num_retries))  # noqa: S311
    return min(error.retry_after or 0, _LONGEST_RETRY_AFTER) + jitter
