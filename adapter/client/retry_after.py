"""The header Retry-After (RFC 9110, 10.2.3): after how many seconds whoever sent an answer wants to be asked again."""

import math
import time
from datetime import UTC
from email.utils import parsedate_to_datetime


def retry_after_seconds(header: str) -> int | None:
    """Seconds, at least 0, whether the header gives them or a date; None where it is neither.

    A date that is over is 0. One in any of the three forms that RFC 9110 has a reader take.
    """
    value = header.strip()
    try:
        if value.isascii() and value.isdecimal():
            return int(value)
        date = parsedate_to_datetime(value)
        if date.tzinfo is None:  # the form of C's asctime names no zone: it is UTC, too
            date = date.replace(tzinfo=UTC)
        return max(0, math.ceil(date.timestamp() - time.time()))
    except (ValueError, OverflowError):  # also of thousands of digits
        return None
