import asyncio

import pytest

from adapter.errors import Overloaded
from adapter.generation.admission import Admission


class Visitor:
    """Holds a slot from its admission until it is told to leave."""

    def __init__(self, admission: Admission, slots: int, model: str = "tiny", *, is_background: bool = False) -> None:
        self._leave = asyncio.Event()
        self.is_in = asyncio.Event()
        self.stay = asyncio.create_task(self._stay(admission, model, slots, is_background=is_background))

    async def _stay(self, admission: Admission, model: str, slots: int, *, is_background: bool) -> None:
        async with admission.slot(model, "1.0", slots, is_background=is_background):
            self.is_in.set()
            await self._leave.wait()

    async def leave(self) -> None:
        self._leave.set()
        await self.stay


class Clock:
    now = 0.0

    def monotonic(self) -> float:
        return self.now


async def settle() -> None:
    for _ in range(10):
        await asyncio.sleep(0)


async def test_those_who_wait_are_let_in_in_order() -> None:
    admission = Admission(max_waiting=2)
    visitors = [Visitor(admission, slots=1) for _ in range(3)]
    await settle()
    assert [visitor.is_in.is_set() for visitor in visitors] == [True, False, False]
    await visitors[0].leave()
    await settle()
    assert [visitor.is_in.is_set() for visitor in visitors] == [True, True, False]
    await visitors[1].leave()
    await visitors[2].leave()


async def test_one_more_than_may_wait_is_sent_away_at_once() -> None:
    admission = Admission(max_waiting=1)
    visitors = [Visitor(admission, slots=1) for _ in range(2)]
    await settle()
    with pytest.raises(Overloaded):
        async with admission.slot("tiny", "1.0", 1):
            pass
    for visitor in visitors:
        await visitor.leave()


async def test_who_lost_a_slot_may_wait_however_many_do() -> None:
    admission = Admission(max_waiting=1)
    visitors = [Visitor(admission, slots=1) for _ in range(2)]
    await settle()

    async def come_back() -> None:
        async with admission.slot("tiny", "1.0", 1, had_slot=True):
            pass

    back = asyncio.create_task(come_back())
    await settle()
    assert not back.done()
    for visitor in visitors:
        await visitor.leave()
    await back


async def test_who_gives_up_waiting_makes_room() -> None:
    admission = Admission(max_waiting=1)
    inside, waiting = (Visitor(admission, slots=1) for _ in range(2))
    await settle()
    waiting.stay.cancel()
    await settle()
    third = Visitor(admission, slots=1)
    await settle()
    assert not third.stay.done()
    await inside.leave()
    await third.leave()


async def test_a_failure_inside_gives_the_slot_back() -> None:
    admission = Admission(max_waiting=1)
    for _ in range(3):
        with pytest.raises(LookupError):
            async with admission.slot("tiny", "1.0", 1):
                raise LookupError


async def test_models_do_not_wait_for_each_other() -> None:
    admission = Admission(max_waiting=1)
    visitors = [Visitor(admission, slots=1, model=model) for model in ("tiny", "large")]
    await settle()
    assert all(visitor.is_in.is_set() for visitor in visitors)
    for visitor in visitors:
        await visitor.leave()


async def test_a_second_worker_lets_more_in() -> None:
    admission = Admission(max_waiting=3)
    visitors = [Visitor(admission, slots=1), Visitor(admission, slots=1), Visitor(admission, slots=2)]
    await settle()
    assert [visitor.is_in.is_set() for visitor in visitors] == [True, True, False]
    for visitor in visitors:
        await visitor.leave()


async def test_nobody_knows_when_to_come_back_before_anybody_has_left() -> None:
    admission = Admission(max_waiting=0)
    inside = Visitor(admission, slots=1)
    await settle()
    with pytest.raises(Overloaded) as refusal:
        async with admission.slot("tiny", "1.0", 1):
            pass
    assert refusal.value.retry_after is None
    await inside.leave()


@pytest.mark.parametrize(("stay", "expected"), [(0.1, 1), (0.9, 3), (4.0, 12), (100.0, 60)])
async def test_retry_after_follows_the_rate_at_which_the_line_moves(
    monkeypatch: pytest.MonkeyPatch, stay: float, expected: int
) -> None:
    clock = Clock()
    monkeypatch.setattr("adapter.generation.admission.time", clock)
    admission = Admission(max_waiting=2)
    for _ in range(10):
        async with admission.slot("tiny", "1.0", 1):
            clock.now += stay
        clock.now += 1_000  # in which nobody comes
    visitors = [Visitor(admission, slots=1) for _ in range(3)]
    await settle()
    with pytest.raises(Overloaded) as refusal:
        async with admission.slot("tiny", "1.0", 1):
            pass
    assert refusal.value.retry_after == expected
    for visitor in visitors:
        visitor.stay.cancel()


async def test_one_that_may_not_wait_is_refused_where_it_would_have_to() -> None:
    admission = Admission(max_waiting=2)
    async with admission.slot("tiny", "1.0", 1, may_wait=False):
        with pytest.raises(Overloaded):
            async with admission.slot("tiny", "1.0", 1, may_wait=False):
                pass
    async with admission.slot("tiny", "1.0", 1, may_wait=False):
        assert admission.queue("tiny", "1.0") == (0, 1)


async def test_who_runs_in_the_background_waits_until_nobody_else_does() -> None:
    admission = Admission(max_waiting=2)
    first = Visitor(admission, slots=1)
    await settle()
    background = Visitor(admission, slots=1, is_background=True)
    await settle()
    live = [Visitor(admission, slots=1) for _ in range(2)]
    for leaving, admitted in ((first, live[0]), (live[0], live[1]), (live[1], background)):
        await settle()
        assert not admitted.is_in.is_set()
        await leaving.leave()
        await settle()
        assert admitted.is_in.is_set()
    await background.leave()


async def test_the_background_leaves_the_last_free_slot_of_several() -> None:
    admission = Admission(max_waiting=2)
    background = [Visitor(admission, slots=3, is_background=True) for _ in range(3)]
    await settle()
    assert [visitor.is_in.is_set() for visitor in background] == [True, True, False]
    live = Visitor(admission, slots=3)
    await settle()
    assert live.is_in.is_set()
    for visitor in (live, *background):
        await visitor.leave()


async def test_the_background_begins_few_beside_a_live_request_and_for_some_time_after_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    clock = Clock()
    monkeypatch.setattr("adapter.generation.admission.time", clock)
    admission = Admission(max_waiting=2)
    live = Visitor(admission, slots=64)
    await settle()
    background = [Visitor(admission, slots=64, is_background=True) for _ in range(7)]
    await settle()
    assert [visitor.is_in.is_set() for visitor in background] == [True] * 4 + [False] * 3
    await live.leave()
    clock.now += 9
    await background[0].leave()
    await settle()
    assert [visitor.is_in.is_set() for visitor in background] == [True] * 5 + [False] * 2
    clock.now += 1
    await background[1].leave()
    await settle()
    assert all(visitor.is_in.is_set() for visitor in background)
    for visitor in background[2:]:
        await visitor.leave()


async def test_the_background_begins_more_by_itself_when_no_live_request_comes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("adapter.generation.admission._QUIET_AFTER", 0.01)
    admission = Admission(max_waiting=2)
    live = Visitor(admission, slots=64)
    await settle()
    background = [Visitor(admission, slots=64, is_background=True) for _ in range(7)]
    await settle()
    await live.leave()
    for visitor in background:
        await asyncio.wait_for(visitor.is_in.wait(), 30)
    for visitor in background:
        await visitor.leave()


async def test_who_waits_in_the_background_sends_nobody_away() -> None:
    admission = Admission(max_waiting=1)
    inside = Visitor(admission, slots=1)
    await settle()
    background = [Visitor(admission, slots=1, is_background=True) for _ in range(3)]
    waiting = Visitor(admission, slots=1)
    await settle()
    assert admission.num_waiting() == 1
    for visitor in (inside, waiting, *background):
        await visitor.leave()


async def test_who_gives_up_in_the_background_leaves_nothing_behind() -> None:
    admission = Admission(max_waiting=1)
    inside = Visitor(admission, slots=1)
    await settle()
    background = Visitor(admission, slots=1, is_background=True)
    await settle()
    background.stay.cancel()
    await settle()
    await inside.leave()
    assert admission.queue("tiny", "1.0") == (0, 0)


async def test_the_slot_of_one_who_left_as_it_came_is_for_the_background() -> None:
    admission = Admission(max_waiting=1)
    inside = Visitor(admission, slots=1)
    await settle()
    background, live = Visitor(admission, slots=1, is_background=True), Visitor(admission, slots=1)
    await settle()
    leaving = asyncio.create_task(inside.leave())
    while admission.num_waiting():  # noqa: ASYNC110 - until it has been given the slot, and does not know it yet
        await asyncio.sleep(0)
    live.stay.cancel()
    await leaving
    await settle()
    assert not live.is_in.is_set()
    assert background.is_in.is_set()
    await background.leave()
