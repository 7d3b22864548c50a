import socket
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import ClassVar

import pytest

from adapter.torchserve import silence_watch
from adapter.torchserve.silence_watch import SilenceWatch
from tests.waiting import wait_until


@pytest.fixture(autouse=True)
def quick_looks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(silence_watch, "_LEAST_PATIENCE", 0.0)


class Answering(BaseHTTPRequestHandler):
    paths: ClassVar[list[str]] = []
    slowness: ClassVar[float] = 0  # seconds

    def do_GET(self) -> None:
        time.sleep(self.slowness)
        Answering.paths.append(self.path)
        self.send_error(500)

    def log_message(self, *_: object) -> None: ...


@pytest.fixture
def answering() -> Iterator[str]:
    Answering.paths.clear()
    with ThreadingHTTPServer(("127.0.0.1", 0), Answering) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


@pytest.fixture
def frozen() -> Iterator[str]:
    """Whose kernel takes connections, and nobody else."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"


def test_a_server_that_takes_connections_and_answers_none_is_silent(frozen: str) -> None:
    with SilenceWatch(frozen, 0.2) as watch:
        wait_until(lambda: watch.is_silent)


def test_a_server_is_not_silent_before_enough_looks_had_no_answer(frozen: str, monkeypatch: pytest.MonkeyPatch) -> None:
    look = SilenceWatch._answers
    before: list[bool] = []

    def look_and_note(self: SilenceWatch) -> bool:
        before.append(self.is_silent)
        return look(self)

    monkeypatch.setattr(SilenceWatch, "_answers", look_and_note)
    with SilenceWatch(frozen, 0.2) as watch:
        wait_until(lambda: watch.is_silent)
    assert before[: silence_watch._LEAST_MISSES] == [False] * silence_watch._LEAST_MISSES


def test_a_server_that_nobody_listens_for_is_silent() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
    with SilenceWatch(url, 0.2) as watch:
        wait_until(lambda: watch.is_silent)


def test_a_server_that_answers_anything_is_not_silent(answering: str) -> None:
    with SilenceWatch(answering, 1.0) as watch:
        wait_until(lambda: len(Answering.paths) > 8)
        assert not watch.is_silent
    assert set(Answering.paths) == {"/ping"}


def test_a_server_that_is_slow_to_answer_is_not_silent_however_short_the_limit_is(
    answering: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(silence_watch, "_LEAST_PATIENCE", 1.0)
    monkeypatch.setattr(Answering, "slowness", 0.2)
    with SilenceWatch(answering, 0.1) as watch:
        wait_until(lambda: watch.is_silent or len(Answering.paths) > 1)
        assert not watch.is_silent


def test_an_answer_ends_the_silence_before_it(answering: str) -> None:
    watch = SilenceWatch(answering, 60)
    watch._silent_for = 59
    with watch:
        wait_until(lambda: watch._silent_for == 0)


def test_the_time_in_which_the_watch_itself_stood_still_does_not_count(
    frozen: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks = 0

    def stand_still(self: SilenceWatch) -> bool:
        nonlocal looks
        looks += 1
        time.sleep(3 * self._longest_look)
        return False

    monkeypatch.setattr(SilenceWatch, "_answers", stand_still)
    with SilenceWatch(frozen, 0.04) as watch:
        wait_until(lambda: looks > 2 * silence_watch._LEAST_MISSES)
        assert not watch.is_silent
