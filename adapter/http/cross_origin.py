"""Rules for CORSMiddleware: what a browser lets the pages of other origins do here. Which pages is a setting."""

from typing import Any

CROSS_ORIGIN: dict[str, Any] = {
    "allow_methods": ("GET", "HEAD", "POST", "DELETE"),
    # SDKs and tracers have headers of their own (x-stainless-*, traceparent), and none of them lets anybody in.
    "allow_headers": ("*",),
    "allow_private_network": True,  # Chrome asks for a page of the internet and a gateway in the page's own network
    "allow_credentials": False,  # a key is sent by the page; nothing here goes by cookies
    # Headers of an answer that SDKs read.
    "expose_headers": ("age", "cache-status", "retry-after", "server-timing", "x-request-id", "x-should-retry"),
}
