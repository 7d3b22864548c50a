"""JSON as the data of one server-sent event, for streams of others' protocols."""

import json
from collections.abc import Mapping
from typing import Any

DONE = b"data: [DONE]\n\n"


def event_data(value: Mapping[str, Any]) -> bytes:
    # ASCII only: no character of the text can pass for the end of a line (see adapter/event_stream.py).
    return b"data: " + json.dumps(value, separators=(",", ":")).encode() + b"\n\n"
