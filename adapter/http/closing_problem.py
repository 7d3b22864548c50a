"""A problem with which a connection ends, where no application answers."""

from collections.abc import Iterator

import h11

from adapter.errors import TorchbridgeError
from adapter.http.problem_responses import CONTENT_TYPE


def closing_problem(error: TorchbridgeError, request_id: str, *, is_head_only: bool) -> Iterator[h11.Event]:
    """The events of the answer. is_head_only: whether it answers a HEAD, and so has no body."""
    problem = error.to_problem(request_id)
    body = problem.model_dump_json().encode()
    headers = {
        "content-type": CONTENT_TYPE,
        "content-length": str(len(body)),
        "connection": "close",
        "cache-control": "no-store",
        "x-content-type-options": "nosniff",
        "x-request-id": request_id,
    }
    yield h11.Response(status_code=problem.status, headers=list(headers.items()))
    yield h11.Data(data=b"" if is_head_only else body)
    yield h11.EndOfMessage()
