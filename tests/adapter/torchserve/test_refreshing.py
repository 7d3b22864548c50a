import asyncio
import logging
import threading
from types import SimpleNamespace

import pytest

from adapter.torchserve.refreshing import Refreshing
from tests.fakes import wait_for


class Source:
    """Counts up; each load waits for its turn if the source is held."""

    def __init__(self) -> None:
        self.num_loads = 0
        self.failure: Exception | None = None
        self.free = threading.Event()
        self.free.set()

    def load(self) -> int:
        self.num_loads += 1
        number = self.num_loads
        assert self.free.wait(30)
        if self.failure:
            raise self.failure
        return number


@pytest.fixture
def source() -> Source:
    return Source()


async def test_the_first_asker_waits_for_the_value(source: Source) -> None:
    assert await Refreshing(source.load, 60).get(60) == 1


async def test_a_fresh_value_is_not_loaded_again(source: Source) -> None:
    value = Refreshing(source.load, 60)
    assert [await value.get(60), await value.get(60)] == [1, 1]


async def test_a_stale_value_is_given_at_once_and_refreshed_behind(source: Source) -> None:
    value = Refreshing(source.load, 0)
    await value.get(60)
    source.free.clear()
    assert await value.get(60) == 1
    source.free.set()
    await wait_for(lambda: value._value == 2)


async def test_a_value_older_than_allowed_is_waited_for(source: Source) -> None:
    value = Refreshing(source.load, 0)
    await value.get(60)
    assert await value.get(0) == 2


async def test_a_value_of_some_age_is_waited_for_with_patience(source: Source) -> None:
    value = Refreshing(source.load, 0)
    await value.get(60)
    assert await value.get(60, wait_from=0, patience=30) == 2


async def test_patience_ends_and_the_stale_value_is_given(source: Source) -> None:
    value = Refreshing(source.load, 0)
    await value.get(60)
    source.free.clear()
    assert await value.get(60, wait_from=0, patience=0.01) == 1
    source.free.set()
    await wait_for(lambda: value._value == 2)


async def test_a_failure_while_a_stale_value_will_do_is_not_raised(source: Source) -> None:
    value = Refreshing(source.load, 0)
    await value.get(60)
    source.failure = OSError("no")
    assert await value.get(60, wait_from=0, patience=30) == 1


async def test_many_askers_cause_one_load(source: Source) -> None:
    value = Refreshing(source.load, 60)
    source.free.clear()
    asking = [asyncio.create_task(value.get(60)) for _ in range(10)]
    await wait_for(lambda: source.num_loads)
    source.free.set()
    assert await asyncio.gather(*asking) == [1] * 10


async def test_an_asker_that_gives_up_does_not_stop_the_load_for_the_others(source: Source) -> None:
    value = Refreshing(source.load, 60)
    source.free.clear()
    first, second = (asyncio.create_task(value.get(60)) for _ in range(2))
    await wait_for(lambda: source.num_loads)
    first.cancel()
    source.free.set()
    assert await second == 1


async def test_a_failure_reaches_those_who_wait(source: Source) -> None:
    source.failure = OSError("no")
    with pytest.raises(OSError, match="no"):
        await Refreshing(source.load, 60).get(60)


async def test_a_failure_behind_a_stale_value_is_logged(source: Source, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING)
    value = Refreshing(source.load, 0)
    await value.get(60)
    source.failure = OSError("no")
    assert await value.get(60) == 1
    await wait_for(lambda: caplog.messages)
    assert caplog.messages == ["a refresh failed: no"]


async def test_a_failed_load_is_tried_again_by_the_next_asker(source: Source) -> None:
    value = Refreshing(source.load, 60)
    source.failure = OSError("no")
    with pytest.raises(OSError, match="no"):
        await value.get(60)
    source.failure = None
    assert await value.get(60) == 2


async def test_a_reload_starts_now_even_while_another_load_runs(source: Source) -> None:
    value = Refreshing(source.load, 60)
    source.free.clear()
    asking = asyncio.create_task(value.get(60))
    await wait_for(lambda: source.num_loads)
    reloading = asyncio.create_task(value.reload())
    await wait_for(lambda: source.num_loads == 2)
    source.free.set()
    await asking
    assert await reloading == 2


async def test_an_older_load_that_ends_late_does_not_undo_a_newer_one() -> None:
    gates = [threading.Event(), threading.Event()]
    started: list[int] = []

    def load() -> int:
        started.append(number := len(started))
        assert gates[number].wait(30)
        return number

    value = Refreshing(load, 60)
    older = asyncio.create_task(value.get(60))
    await wait_for(lambda: len(started) == 1)
    newer = asyncio.create_task(value.reload())
    await wait_for(lambda: len(started) == 2)
    gates[1].set()
    await newer
    gates[0].set()
    assert await older == 1


async def test_a_newer_value_comes_from_a_load_that_began_after_the_call(source: Source) -> None:
    value = Refreshing(source.load, 60)
    source.free.clear()
    asking = asyncio.create_task(value.get(60))
    await wait_for(lambda: source.num_loads)
    newer = [asyncio.create_task(value.get_newer()) for _ in range(10)]
    await asyncio.sleep(0)
    source.free.set()
    assert await asking == 1
    assert await asyncio.gather(*newer) == [2] * 10
    assert await value.get(60) == 2


async def fail_times(value: Refreshing[int], num_times: int) -> None:
    for _ in range(num_times):
        with pytest.raises(OSError, match="no"):
            await value.get(0)


async def test_loads_that_fail_are_said_once_and_once_more_when_it_is_over(
    source: Source, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING)
    value = Refreshing(source.load, 0)
    source.failure = OSError("no")
    await fail_times(value, 3)
    assert source.num_loads == 3
    source.failure = None
    await value.get(0)
    assert caplog.messages == ["a refresh failed: no", "refreshes succeed again, after 3 that failed"]
    source.failure = OSError("no, another time")
    await fail_times(value, 1)
    assert caplog.messages[2:] == ["a refresh failed: no, another time"]


async def test_the_pause_before_the_next_load_grows_and_has_an_end(
    source: Source, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("adapter.torchserve.refreshing.time", SimpleNamespace(monotonic=lambda: 1_000.0))
    value = Refreshing(source.load, 0)
    source.failure = OSError("no")
    pauses = []
    for _ in range(8):
        with pytest.raises(OSError, match="no"):
            await value.reload()
        pauses.append(value._pause())
    assert pauses == pytest.approx([0.05, 0.1, 0.2, 0.4, 0.8, 1, 1, 1])


async def test_a_reload_does_not_pause_and_a_success_ends_the_pauses(source: Source) -> None:
    value = Refreshing(source.load, 60)
    source.failure = OSError("no")
    for _ in range(3):
        with pytest.raises(OSError, match="no"):
            await value.reload()
    source.failure = None
    await value.reload()
    assert value._pause() == 0
