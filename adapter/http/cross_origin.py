"""What a browser lets the pages of other origins do here, for CORSMiddleware. Which pages is a setting."""

from typing import Any

CROSS_ORIGIN: dict[str, Any] = {
    "allow_methods": ("GET", "POST"),
    "allow_headers": (
        "authorization",
        "cache-control",
        "content-type",
        "x-first-token-timeout",
        "x-request-id",
        "x-request-timeout",
        "x-user",
    ),
    "expose_headers": ("age", "cache-status", "retry-after", "x-request-id"),
    "allow_credentials": False,  # a key is sent by the page; nothing here goes by cookies
}
