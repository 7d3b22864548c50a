"""The watch over a canary, on a running gateway with callers of its own."""

import contextlib
import threading
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from adapter.control.client import ControlClient
from adapter.control.messages import control_socket
from adapter.errors import Conflict, GenerationFailed, VersionNotFound
from adapter.versions.canary import Verdict, run_canary
from tests.adapter.control.running_gateway import running_gateway
from tests.adapter.generation.two_versions import ScriptedVersions
from tests.adapter.versions.fake_server import Lines
from tests.adapter.versions.watched_canary import request, run
from tests.fakes import FakeManagement


@pytest.fixture
def management() -> FakeManagement:
    return FakeManagement({"tiny": {"1.0": 1, "2.0": 1}})


@pytest.fixture
def inference() -> ScriptedVersions:
    return ScriptedVersions()


@pytest.fixture
def gateway(tmp_path: Path, management: FakeManagement, inference: ScriptedVersions) -> Iterator[str]:
    with running_gateway(tmp_path, management, inference) as url:
        yield url


@pytest.fixture
def client(gateway: str, tmp_path: Path) -> ControlClient:
    del gateway
    return ControlClient(control_socket(tmp_path))


@pytest.fixture
def callers(gateway: str) -> Iterator[None]:
    """Ask one after another for as long as the test runs."""
    has_ended = threading.Event()

    def ask() -> None:
        with httpx.Client() as http:
            while not has_ended.is_set():
                http.post(f"{gateway}/generate", json={"prompt": "Once"})

    thread = threading.Thread(target=ask)
    thread.start()
    yield
    has_ended.set()
    thread.join()


def is_over(client: ControlClient) -> bool:
    return all(model.canary is None for model in client.traffic().models)


@pytest.mark.usefixtures("callers")
@pytest.mark.parametrize("shadow", [False, True], ids=["canary", "shadow"])
def test_what_does_not_fail_is_to_be_promoted_and_gets_no_more(
    client: ControlClient, lines: Lines, *, shadow: bool
) -> None:
    assert run(client, lines, shadow=shadow) is Verdict.PROMOTE
    assert is_over(client)
    assert "If none fails" in lines[0]
    assert lines[-1].startswith("2.0: 0 of ")


@pytest.mark.usefixtures("callers")
@pytest.mark.parametrize("shadow", [False, True], ids=["canary", "shadow"])
def test_what_fails_is_aborted(
    client: ControlClient, inference: ScriptedVersions, lines: Lines, *, shadow: bool
) -> None:
    inference.scripts["2.0"] = [GenerationFailed("no")]
    assert run(client, lines, shadow=shadow) is Verdict.FAILS_MORE
    assert is_over(client)
    assert "generation_failed" in lines[-1]


@pytest.mark.usefixtures("callers")
def test_a_version_without_a_worker_is_aborted(client: ControlClient, management: FakeManagement, lines: Lines) -> None:
    def lose_the_worker(line: str) -> None:
        management.served["tiny"]["2.0"] = 0
        client.traffic()
        lines(line)

    assert run(client, lose_the_worker) is Verdict.FAILS_MORE
    assert "found 2.0 not ready" in lines[-1]


def test_without_requests_there_is_no_verdict(client: ControlClient, lines: Lines) -> None:
    assert run(client, lines, timeout=0.2) is Verdict.UNDECIDED
    assert is_over(client)


@pytest.mark.usefixtures("callers")
def test_a_version_that_goes_is_lost(client: ControlClient, management: FakeManagement, lines: Lines) -> None:
    def unregister(line: str) -> None:
        management.served["tiny"] = {"1.0": 1}
        client.traffic()
        lines(line)

    assert run(client, unregister) is Verdict.LOST
    assert "no version 2.0 any more" in lines[-1]


def test_a_canary_that_the_gateway_has_forgotten_is_lost(client: ControlClient, lines: Lines) -> None:
    def forget(line: str) -> None:
        lines(line)
        for model in client.traffic().models:
            if model.canary:
                client.end_canary(model.canary.id)

    assert run(client, forget) is Verdict.LOST
    assert "restarted" in lines[-1]


def test_a_gateway_that_stops_has_lost_it(
    tmp_path: Path, management: FakeManagement, inference: ScriptedVersions, lines: Lines
) -> None:
    with contextlib.ExitStack() as running:
        running.enter_context(running_gateway(tmp_path, management, inference))

        def stop(line: str) -> None:
            running.close()
            lines(line)

        assert run(ControlClient(control_socket(tmp_path)), stop) is Verdict.LOST
    assert "No gateway runs" in lines[-1]


def test_who_interrupts_it_leaves_none_behind(client: ControlClient) -> None:
    def interrupt(_: str) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(client, interrupt)
    assert is_over(client)


def test_what_cannot_begin_is_an_error_and_leaves_the_one_that_runs(client: ControlClient, lines: Lines) -> None:
    with pytest.raises(VersionNotFound):
        run_canary(client, request("3.0"), timeout=1, report=lines)
    client.begin_canary(request())
    with pytest.raises(Conflict):
        run(client, lines)
    assert not is_over(client)
    assert lines == []
