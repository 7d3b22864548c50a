import os
import sys
import threading
from collections.abc import Callable

import pytest

from adapter.process.thread_priority import NICER_BY, give_way

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="threads have no priority of their own")


def niceness() -> int:
    return os.getpriority(os.PRIO_PROCESS, threading.get_native_id())


def in_a_thread(work: Callable[[], int]) -> int:
    found: list[int] = []
    thread = threading.Thread(target=lambda: found.append(work()))
    thread.start()
    thread.join()
    return found[0]


def own_after_giving_way() -> int:
    give_way()
    return niceness()


def childs_after_giving_way() -> int:
    give_way()
    return in_a_thread(niceness)


@pytest.mark.parametrize("whose", [own_after_giving_way, childs_after_giving_way])
def test_a_thread_that_gives_way_is_nicer_and_so_are_those_that_it_starts(whose: Callable[[], int]) -> None:
    assert in_a_thread(whose) == min(19, niceness() + NICER_BY)


def test_no_other_thread_gives_way() -> None:
    before = niceness()
    in_a_thread(own_after_giving_way)

    assert niceness() == before


def test_where_it_may_not_give_way_it_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int] = []

    def refuse(*_: int) -> None:
        asked.append(1)
        raise PermissionError

    monkeypatch.setattr(os, "setpriority", refuse)
    give_way()

    assert asked
