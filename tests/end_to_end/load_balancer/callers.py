"""Callers with connections that they keep, who try nothing twice."""

import os
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager

import requests

from tests.calling import Callers, calling
from tests.waiting import PATIENCE

NUM_CALLERS = 16
# Seconds before one asks again: what is stopped and started has the rest of the machine. `make soak` leaves none.
PAUSE = 0.0 if "TORCHBRIDGE_TEST_EVERY_POINT" in os.environ else 0.1
ANSWERED = "answered"


def calling_once_each(url: str) -> AbstractContextManager[Callers[str]]:
    """What becomes of each call: it is answered, or what is said in place of an answer."""
    return calling([_caller(url) for _ in range(NUM_CALLERS)], PAUSE)


@contextmanager
def _caller(url: str) -> Iterator[Callable[[], str]]:
    with requests.Session() as session:
        yield lambda: _ask(session, url)


def _ask(session: requests.Session, url: str) -> str:
    try:
        answer = session.post(f"{url}/generate", json={"prompt": "Once", "max_length": 2}, timeout=(PATIENCE, 600))
    except requests.RequestException as error:
        return repr(error)
    return ANSWERED if answer.ok else f"{answer.status_code} {answer.text}"
