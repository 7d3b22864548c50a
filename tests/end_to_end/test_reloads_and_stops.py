"""Streams whose callers leave are found again, and those that are stopped end within two steps of the engine.

TORCHBRIDGE_TEST_RELOADS says how many reloads there are, and how many stops. Then the steps that an engine makes behind
a stop are those of the real chat model, which are as long as those of models that people serve: models/tiny makes some
while the word of a stop is on its way from the caller.
"""

import logging
import os
import random
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import requests
from pydantic import SecretStr

from adapter.archives.archive import build_archive
from adapter.engine_figures import EngineFigures
from adapter.event_stream import EventDecoder
from adapter.gateway import create_app
from adapter.schema import DeltaEvent, DoneEvent, ErrorEvent, StreamEvent
from adapter.torchserve.server_process import TorchServeProcess
from tests.end_to_end.endless_model import model_config, write_endless_model
from tests.end_to_end.gateway_calls import TIMEOUT
from tests.end_to_end.observing import describe
from tests.end_to_end.own_stack import running_torchserve, settings_before
from tests.fakes import serving
from tests.project import PROJECT
from tests.real_model.directory import REAL_MODEL, changed_copy
from tests.waiting import wait_until
from tests.worker_variables import workers_with

pytestmark = pytest.mark.torchserve

IS_WHOLE = "TORCHBRIDGE_TEST_RELOADS" in os.environ and (REAL_MODEL / "config.json").exists()
NUM_RELOADS = NUM_STOPS = int(os.environ.get("TORCHBRIDGE_TEST_RELOADS", "4"))
STOPPED, MOST_STEPS = ("smol", 2) if IS_WHOLE else ("endless", 32)
STEP_LOGGER = Path(__file__).with_name("step_log")
NUM_TOKENS = 100
MOST_ANSWERS = 8 * NUM_RELOADS  # two for each reload, unless this machine stands still
HEADERS = {"cache-control": "no-store", "x-resumable": "true"}
_log = logging.getLogger(__name__)


@dataclass
class Stack:
    torchserve: TorchServeProcess
    url: str
    step_log: Path

    def figures(self, model: str) -> EngineFigures | None:
        [worker] = describe(self.torchserve, model).workers
        return EngineFigures.read(self.torchserve.directory.compilations, model, "1.0", worker.pid)

    def still_figures(self, model: str, running: int, is_told: Callable[[EngineFigures], bool]) -> EngineFigures:
        """When the engine runs so many requests, and what it writes once a second is new."""
        seen: list[EngineFigures] = []

        def is_still() -> bool:
            figures = self.figures(model)
            seen[:] = [figures] if figures else []
            return figures is not None and figures.running == running and is_told(figures)

        wait_until(is_still)
        return seen[0]

    def value(self, series: str) -> int:
        lines = requests.get(f"{self.url}/metrics", timeout=TIMEOUT).text.splitlines()
        [value] = (line.split()[1] for line in lines if line.startswith(f"{series} "))
        return int(float(value))


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    directory = tmp_path_factory.mktemp("reloads")
    step_log = directory / "steps"
    write_endless_model(PROJECT / "models" / "tiny", directory / "endless")
    if IS_WHOLE:
        changed_copy(directory / "smol")
    store, config = directory / "model_store", directory / "model-config.yaml"
    config.write_text(model_config(context_length=8192))
    archives = [build_archive(directory / name, name, "1.0", store, config) for name in {"endless", STOPPED}]
    with (
        workers_with({"PYTHONPATH": str(STEP_LOGGER), "TEST_STEP_LOG": str(step_log)}),
        running_torchserve(archives, directory / "run") as torchserve,
    ):
        kept = {"cursor_key": SecretStr("k" * 32), "unread_stream_seconds": 600}
        settings = settings_before(torchserve, archives, "endless").model_copy(update=kept)
        with serving(create_app(settings)) as url:
            yield Stack(torchserve, url, step_log)


@contextmanager
def read(stack: Stack, request: dict[str, Any], cursor: str) -> Iterator[Iterator[tuple[StreamEvent, str]]]:
    """The events of one connection, each with the id to come back by; what is not read is left."""
    headers = HEADERS | ({"last-event-id": cursor} if cursor else {})
    address = f"{stack.url}/generate/stream"
    with requests.post(address, json=request, headers=headers, timeout=TIMEOUT, stream=True) as answer:
        assert answer.status_code == 200, answer.text
        yield _events(answer, cursor)


def _events(answer: requests.Response, cursor: str) -> Iterator[tuple[StreamEvent, str]]:
    for line in answer.iter_lines():
        if line.startswith(b"id: "):
            cursor = line.removeprefix(b"id: ").decode()
        for event in EventDecoder().feed(line + b"\n\n"):
            yield event, cursor


def reloaded(stack: Stack, request: dict[str, Any], num_reloads: int, chance: random.Random) -> tuple[str, int]:
    """The text that a page has put together, which has been reloaded after some texts so many times, and how many.

    What it had behind the last id comes again. Where this machine stands still, the end may come before the last one.
    """
    kept, cursor = "", ""
    for num_found in range(num_reloads):
        num_texts = chance.randint(1, 6)  # there are fewer than tokens
        text = kept
        with read(stack, request, cursor) as events:
            while num_texts:
                event, last_id = next(events)
                if isinstance(event, DoneEvent):
                    assert text == event.response.text
                    return text, num_found
                if isinstance(event, DeltaEvent):
                    text += event.text
                    num_texts -= 1
                if last_id != cursor:
                    kept, cursor = text, last_id
    with read(stack, request, cursor) as events:
        *deltas, (done, _) = events
    assert isinstance(done, DoneEvent)
    text = kept + "".join(delta.text for delta, _ in deltas if isinstance(delta, DeltaEvent))
    assert text == done.response.text
    return text, num_reloads


def test_streams_are_found_again_and_nothing_is_computed_twice(stack: Stack) -> None:
    chance = random.Random(NUM_RELOADS)
    left, num_answers = NUM_RELOADS, 0
    while left:
        num_reloads = min(left, chance.randint(1, 4))
        request = {"prompt": f"Once {left}", "seed": left, "max_length": NUM_TOKENS, "model": "endless"}
        whole = requests.post(f"{stack.url}/generate", json=request, headers=HEADERS, timeout=TIMEOUT).json()
        text, num_found = reloaded(stack, request, num_reloads, chance)
        assert text == whole["text"]
        left -= num_found
        num_answers += 2
        assert num_answers <= MOST_ANSWERS

    assert stack.value("torchbridge_streams_found_total") == NUM_RELOADS
    num_tokens = num_answers * NUM_TOKENS
    figures = stack.still_figures("endless", 0, lambda figures: figures.answer_tokens >= num_tokens)
    assert figures.answer_tokens == num_tokens
    _log.info("%d reloads of %d answers: all are whole, no token was computed twice", NUM_RELOADS, num_answers // 2)


def stopped(stack: Stack, request: dict[str, Any], num_texts: int) -> tuple[float, str]:
    """Leaves a stream, finds it again and stops it: when, by time.monotonic(), and its last id."""
    with read(stack, request, "") as events:
        _, cursor = next(event for event in events if isinstance(event[0], DeltaEvent))
    with read(stack, request, cursor) as events:
        for _ in range(num_texts):
            _, cursor = next(events)
        headers = {"last-event-id": cursor}
        began = time.monotonic()
        assert requests.delete(f"{stack.url}/generate/stream", headers=headers, timeout=TIMEOUT).status_code == 204
        assert stack.value("torchbridge_running_requests") == 1  # the one that goes on beside it
        *_, (last, cursor) = events
    assert isinstance(last, ErrorEvent)
    assert last.problem.code == "cancelled"
    return began, cursor


@contextmanager
def another(stack: Stack) -> Iterator[None]:
    """Goes on meanwhile: a worker hears that callers have left when TorchServe calls it for others."""
    request = {"prompt": "Twice", "max_length": 8_000, "ignore_eos": True, "model": STOPPED}
    headers = {"cache-control": "no-store"}
    address = f"{stack.url}/generate/stream"
    with requests.post(address, json=request, headers=headers, timeout=TIMEOUT, stream=True) as answer:
        lines = answer.iter_lines()  # which is held: the end of it is that of the connection
        next(lines)
        yield


def num_steps_behind(stack: Stack, number: int, num_texts: int) -> int:
    """Steps of the engine for a stream that began after its caller had sent the stop."""
    request = {"prompt": f"Once {number}", "max_length": 8_000, "ignore_eos": True, "model": STOPPED}
    with another(stack):
        began, cursor = stopped(stack, request, num_texts)
        wait_until(lambda: all(len(ids) == 1 for _, ids in steps(stack)[-3:]))
    back = requests.post(
        f"{stack.url}/generate/stream", json=request, headers=HEADERS | {"last-event-id": cursor}, timeout=TIMEOUT
    )
    assert (back.status_code, back.json()["code"]) == (499, "cancelled")
    return sum(at > began and len(ids) == 2 for at, ids in steps(stack))


def steps(stack: Stack) -> list[tuple[float, list[str]]]:
    """All of the engine's: when each began, and for which requests."""
    *lines, _ = stack.step_log.read_text().split("\n")  # the last may be half a line
    return [(float(at), ids) for at, *ids in map(str.split, lines)]


def test_a_stream_that_is_stopped_has_no_slot_two_steps_later(stack: Stack) -> None:
    chance = random.Random(NUM_STOPS)
    behind: list[int] = []
    for number in range(NUM_STOPS):
        behind.append(num_steps_behind(stack, number, chance.randint(1, 8)))
        _log.info("steps behind each of %d stops: %s", number + 1, sorted(Counter(behind).items()))
    # Not the last ones: whoever shares the cores with this may keep a word of it on its way for longer.
    assert sorted(behind)[(NUM_STOPS * 3 - 1) // 4] <= MOST_STEPS


def test_a_slot_is_free_though_torchserve_calls_the_worker_for_nobody(stack: Stack) -> None:
    request = {"prompt": "Alone", "max_length": 8_000, "ignore_eos": True, "model": STOPPED}
    with read(stack, request, "") as events:
        _, cursor = next(event for event in events if isinstance(event[0], DeltaEvent))
        before = stack.still_figures(STOPPED, 1, lambda _: True).answer_tokens
        headers = {"last-event-id": cursor}
        assert requests.delete(f"{stack.url}/generate/stream", headers=headers, timeout=TIMEOUT).status_code == 204
    stack.still_figures(STOPPED, 0, lambda figures: figures.answer_tokens > before)

    assert "nobody has asked for" not in stack.torchserve.directory.worker_log.read_text()
