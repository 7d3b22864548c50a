"""Two API keys, and the names of those that have none of their own."""

import hashlib

FIRST, SECOND = "first-key-0123456789", "second-key-012345678"
UNNAMED_FIRST, UNNAMED_SECOND = (f"key-{hashlib.sha256(key.encode()).hexdigest()[:8]}" for key in (FIRST, SECOND))
