"""A worker is killed at a random token under streams and unary callers, and each text is the undisturbed one.

TORCHBRIDGE_TEST_CONTINUATIONS says how many answers are disturbed; one death for each 50 of them.
"""

import logging
import os
import random
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import psutil
import pytest
import requests
from pydantic import SecretStr

from adapter.archives.archive import build_archive
from adapter.event_stream import EventDecoder
from adapter.gateway import create_app
from adapter.schema import DeltaEvent, DoneEvent, GenerationResponse, StreamEvent
from adapter.settings import Settings
from adapter.torchserve.server_process import TorchServeProcess
from tests.end_to_end.endless_model import model_config, write_endless_model
from tests.end_to_end.gateway_calls import TIMEOUT, stream
from tests.end_to_end.observing import describe
from tests.end_to_end.own_stack import running_torchserve, settings_before
from tests.fakes import serving
from tests.project import PROJECT
from tests.waiting import wait_until

pytestmark = pytest.mark.torchserve

NUM_ANSWERS = int(os.environ.get("TORCHBRIDGE_TEST_CONTINUATIONS", "20"))
SLOTS = 50
TRIES = 4  # a machine that stands still may give the kill its turn when the answers have ended
NO_STORE = {"cache-control": "no-store"}
_log = logging.getLogger(__name__)
KINDS: tuple[dict[str, Any], ...] = (
    {"temperature": 0},
    {"temperature": 0.7},
    {"temperature": 1.2, "top_p": 0.95, "repetition_penalty": 1.2},
    {"temperature": 1.0, "frequency_penalty": 0.5, "presence_penalty": 0.5},
)


@dataclass
class Stack:
    torchserve: TorchServeProcess
    settings: Settings
    url: str

    def kill_worker(self) -> None:
        psutil.Process(describe(self.torchserve, "endless").workers[0].pid).kill()

    def has_worker(self) -> bool:
        return describe(self.torchserve, "endless").ready_workers == 1

    def num_continuations(self) -> int:
        lines = requests.get(f"{self.url}/metrics", timeout=TIMEOUT).text.splitlines()
        [count] = (line.split()[1] for line in lines if line.startswith("torchbridge_continuations_total "))
        return int(float(count))


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    directory = tmp_path_factory.mktemp("continuations")
    write_endless_model(PROJECT / "models" / "tiny", directory / "endless")
    (directory / "model-config.yaml").write_text(model_config(slots=SLOTS, num_queued=100, context_length=1024))
    store, config = directory / "model_store", directory / "model-config.yaml"
    archives = [build_archive(directory / "endless", "endless", "1.0", store, config)]
    with running_torchserve(archives, directory / "run") as torchserve:
        settings = settings_before(torchserve, archives, "endless")
        settings = settings.model_copy(update={"cursor_key": SecretStr("k" * 32)})
        with serving(create_app(settings)) as url:
            yield Stack(torchserve, settings, url)


def request_of(number: int, max_length: int = 150) -> dict[str, Any]:
    return {"prompt": f"Once {number}", "seed": number, "max_length": max_length} | KINDS[number % len(KINDS)]


@dataclass
class Callers:
    """Of these numbers; each fourth of them is unary. `on_delta` is called with each delta that one of them reads."""

    stack: Stack
    numbers: range
    num_deltas: int = 0
    deadly: int = 0  # the delta at which the worker is killed; 0: none
    _lock: threading.Lock = field(default_factory=threading.Lock)
    is_due: threading.Event = field(default_factory=threading.Event)

    def answers(self) -> list[dict[str, Any]]:
        with ThreadPoolExecutor(len(self.numbers) + 1) as pool:
            killing = pool.submit(self._kill) if self.deadly else None
            answers = list(pool.map(self._ask, self.numbers))
            self.is_due.set()
            if killing is not None:
                killing.result()
        return answers

    def _ask(self, number: int) -> dict[str, Any]:
        request = request_of(number)
        if number % 4:
            with stream(self.stack.url, headers=NO_STORE, **request) as (_, events):
                response = self._read(events)
        else:
            answer = requests.post(f"{self.stack.url}/generate", json=request, headers=NO_STORE, timeout=TIMEOUT)
            response = GenerationResponse.model_validate_json(answer.content)
        return response.model_dump(include={"text", "tokens_generated", "prompt_tokens", "finish_reason"})

    def _read(self, events: Iterator[StreamEvent]) -> GenerationResponse:
        start, *rest = (event for event in events if self._note(event))
        *deltas, done = rest
        assert start.type == "start"
        assert isinstance(done, DoneEvent)
        assert [delta.index for delta in deltas] == list(range(len(deltas)))
        assert "".join(delta.text for delta in deltas) == done.response.text
        return done.response

    def _note(self, event: StreamEvent) -> bool:
        with self._lock:
            self.num_deltas += isinstance(event, DeltaEvent)
            if self.num_deltas == self.deadly:
                self.is_due.set()
        return True

    def _kill(self) -> None:
        self.is_due.wait()
        self.stack.kill_worker()


def test_texts_outlive_their_worker_byte_for_byte(stack: Stack) -> None:
    chance = random.Random(NUM_ANSWERS)
    num_gone_on = 0
    for first in range(0, NUM_ANSWERS, SLOTS):
        numbers = range(first, min(first + SLOTS, NUM_ANSWERS))
        undisturbed = Callers(stack, numbers)
        expected = undisturbed.answers()
        for _ in range(TRIES):
            num_before = stack.num_continuations()
            disturbed = Callers(stack, numbers, deadly=chance.randint(1, undisturbed.num_deltas // 2))
            assert disturbed.answers() == expected
            gone_on = stack.num_continuations() - num_before
            wait_until(stack.has_worker)
            if gone_on > len(numbers) / 4:
                break
        num_gone_on += gone_on
        _log.info("%d answers are byte for byte as undisturbed, and %d of them went on", numbers.stop, num_gone_on)
    # The others had not begun, or had ended.
    assert num_gone_on > NUM_ANSWERS / 4


def beginning_of(url: str, request: dict[str, Any], num_texts: int) -> tuple[str, str]:
    """The first texts of a stream that is then left, and the id of its last event."""
    text, cursor = "", ""
    headers = NO_STORE | {"x-resumable": "true"}
    with requests.post(f"{url}/generate/stream", json=request, headers=headers, timeout=TIMEOUT, stream=True) as answer:
        for line in answer.iter_lines():
            if line.startswith(b"id: "):
                cursor = line.removeprefix(b"id: ").decode()
            for event in EventDecoder().feed(line + b"\n\n"):
                text += event.text if isinstance(event, DeltaEvent) else ""
                num_texts -= isinstance(event, DeltaEvent)
            if not num_texts:
                break
    return text, cursor


@pytest.mark.parametrize("num_texts", [1, 4])
def test_a_stream_goes_on_at_another_gateway(stack: Stack, num_texts: int) -> None:
    request = request_of(2, max_length=60)
    whole = requests.post(f"{stack.url}/generate", json=request, headers=NO_STORE, timeout=TIMEOUT).json()
    beginning, cursor = beginning_of(stack.url, request, num_texts)
    with (
        serving(create_app(stack.settings)) as other,
        stream(other, headers=NO_STORE | {"last-event-id": cursor}, **request) as (_, events),
    ):
        *deltas, done = events

    assert isinstance(done, DoneEvent)
    assert deltas[0].index == num_texts
    assert beginning + "".join(delta.text for delta in deltas) == done.response.text == whole["text"]
    assert done.response.tokens_generated == whole["tokens_generated"]
