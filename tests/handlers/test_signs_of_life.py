import threading
from dataclasses import dataclass

import pytest

from adapter.schema import DeltaEvent, StartEvent, StreamEvent
from handlers.engine_news import Step
from handlers.signs_of_life import COMMENT, SignsOfLife
from tests.handlers.fake_frontend import Client, FakeFrontend, response
from tests.waiting import PATIENCE


@dataclass
class Clock:
    now: float = 100.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr("handlers.signs_of_life.time", clock)
    return clock


def test_an_engine_that_moves_on_gives_one_sign_a_second(clock: Clock) -> None:
    progress = [0]
    signs = SignsOfLife(lambda: progress[0])
    given = []
    for _ in range(8):
        clock.now += 0.5
        progress[0] += 1
        given.append(signs.due())
    assert given == [b"", COMMENT] * 4


def test_an_engine_that_stands_still_gives_none(clock: Clock) -> None:
    signs = SignsOfLife(lambda: 7)
    clock.now += 60
    assert signs.due() == b""


def test_an_answer_whose_prompt_is_still_being_read_says_that_it_waits(
    frontend: FakeFrontend, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("handlers.signs_of_life._SECONDS_BETWEEN", 0)
    may_step = threading.Semaphore(0)
    engine = frontend.handler._engine
    monkeypatch.setattr(engine, "_prefill_tokens", 16)
    step = engine.step

    def step_when_told() -> Step | None:
        may_step.acquire(timeout=PATIENCE)
        return step()

    monkeypatch.setattr(engine, "step", step_when_told)
    running = frontend.send(prompt="Once", max_length=3, temperature=0)
    may_step.release()
    frontend.call_until(lambda: has(running, DeltaEvent))
    waiting = frontend.send(prompt="Once upon a time " * 10, max_length=3, temperature=0)
    frontend.call_until(lambda: has(waiting, StartEvent))
    may_step.release()
    frontend.call_until(lambda: waiting.chunks[-1] == COMMENT)  # the step read some of its prompt
    may_step.release(100)
    frontend.run()
    assert [response(client).tokens_generated for client in (running, waiting)] == [3, 3]


def has(client: Client, event: type[StreamEvent]) -> bool:
    return any(isinstance(each, event) for each in client.events)
