"""Calls to a gateway, as a caller without our client would make them."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import requests

from adapter.event_stream import EventDecoder
from adapter.schema import Problem, StreamEvent

TIMEOUT = 120  # seconds; a bound for a machine that stalls


def post(url: str, **body: Any) -> requests.Response:
    return requests.post(f"{url}/generate", json=body, timeout=TIMEOUT)


@contextmanager
def stream(
    url: str, headers: dict[str, str] | None = None, **body: Any
) -> Iterator[tuple[requests.Response, Iterator[StreamEvent]]]:
    with requests.post(f"{url}/generate/stream", json=body, headers=headers, timeout=TIMEOUT, stream=True) as response:
        yield response, _events(response)


def _events(response: requests.Response) -> Iterator[StreamEvent]:
    assert response.ok, response.text
    decoder = EventDecoder()
    for chunk in response.iter_content(None):
        yield from decoder.feed(chunk)


def expect_problem(response: requests.Response, code: str) -> Problem:
    problem = Problem.model_validate_json(response.content)
    assert (problem.code, response.headers["content-type"]) == (code, "application/problem+json")
    assert response.status_code == problem.status
    return problem
