"""Finds where a model's configuration names code of its own, which is never run."""

import json
from typing import Any

_KEYS = frozenset({"auto_map", "custom_pipelines", "trust_remote_code", "_attn_implementation_internal"})


class OwnCodeError(ValueError):
    """The configuration names code, and the message says by which key."""


def refuse_own_code(content: bytes) -> None:
    """Raises OwnCodeError, however deep the key is or however often it is there; ValueError where it is not JSON."""
    json.loads(content, object_pairs_hook=_check_members)


def _check_members(members: list[tuple[str, Any]]) -> None:
    for key, value in members:
        # A kernel from the hub is code too: "kernels-community/flash-attn".
        if key in _KEYS or (key.endswith("attn_implementation") and isinstance(value, str) and "/" in value):
            raise OwnCodeError(f"its {key} names code of its own")
