"""Callers with connections that they keep, who try nothing twice."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager

import requests

from tests.calling import Callers, calling
from tests.waiting import PATIENCE

NUM_CALLERS = 16
ANSWERED = "answered"


def calling_once_each(url: str) -> AbstractContextManager[Callers[str]]:
    """What becomes of each call: it is answered, or what is said in place of an answer."""
    return calling([_caller(url) for _ in range(NUM_CALLERS)])


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
