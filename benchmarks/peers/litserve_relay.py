"""LitServe with a model that costs nothing: as many small texts as are asked for, at once, as server-sent events.

It runs in the environment `litserve`: python litserve_relay.py PORT zmq|queue
"""

import json
import sys
from collections.abc import Iterator
from typing import Any

import litserve  # it is in an environment of its own

_TEXTS = (" tick", " tock")


class Relay(litserve.LitAPI):  # type: ignore[misc]
    def setup(self, device: str) -> None:
        pass

    def decode_request(self, request: dict[str, Any]) -> int:
        return int(request["max_length"])

    def predict(self, length: int) -> Iterator[str]:
        for index in range(length):
            yield _TEXTS[index % len(_TEXTS)]

    def encode_response(self, texts: Iterator[str]) -> Any:  # LitServe makes FastAPI's response model of it
        for text in texts:
            yield f"data: {json.dumps({'text': text})}\n\n"


if __name__ == "__main__":
    server = litserve.LitServer(
        Relay(stream=True), accelerator="cpu", workers_per_device=1, timeout=False, fast_queue=sys.argv[2] == "zmq"
    )
    server.run(
        host="127.0.0.1", port=int(sys.argv[1]), num_api_servers=1, log_level="warning", generate_client_file=False
    )
