import socket
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import SimpleNamespace
from typing import ClassVar

import pytest

from adapter.archives.archive import build_archive
from adapter.errors import UpstreamUnavailable
from adapter.serving import running_stack
from adapter.serving.running_stack import RunningStack
from adapter.settings import Settings
from adapter.torchserve.properties import PropertiesError
from adapter.torchserve.server_process import StartFailed
from adapter.versions import healing
from adapter.versions.errors import VersionError
from adapter.versions.left_out_versions import LeftOutVersions
from adapter.versions.server_files import ServerFiles
from adapter.versions.worker_revival import WorkerRevival
from tests.adapter.archives.model_files import write_model
from tests.adapter.served_story import serve_story


@pytest.fixture(autouse=True)
def nothing_is_restored_and_pauses_are_short(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(running_stack, "restore_others", lambda *_: None)
    monkeypatch.setattr(running_stack, "_PAUSES", (0.0, 0.01, 0.02))


class ReadyAtTheSecondLook(BaseHTTPRequestHandler):
    num_looks: ClassVar[int] = 0

    def do_GET(self) -> None:
        ReadyAtTheSecondLook.num_looks += 1
        self.send_response(503 if self.num_looks == 1 else 200)
        self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None: ...


def test_a_model_that_is_slow_to_be_ready_is_looked_at_again(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(running_stack, "sample_answer", lambda *_: iter(["Once"]))
    monkeypatch.setattr(ReadyAtTheSecondLook, "num_looks", 0)
    with ThreadingHTTPServer(("127.0.0.1", 0), ReadyAtTheSecondLook) as gateway:
        thread = threading.Thread(target=gateway.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        url = f"http://127.0.0.1:{gateway.server_port}"
        torchserve = SimpleNamespace(management=None, keys=None)
        stack = RunningStack(url, Settings(), torchserve, thread, files=ServerFiles(tmp_path), report=print)
        try:
            assert list(stack.sample()) == ["Once"]
        finally:
            gateway.shutdown()
            thread.join()
    assert ReadyAtTheSecondLook.num_looks == 2


class FailingTorchServe:
    """As TorchServeProcess: it has ended each time somebody looks."""

    directory = SimpleNamespace(logs="logs")

    def __init__(self) -> None:
        self.starts: list[list[Path]] = []

    def is_running(self) -> bool:
        return False

    def kill(self) -> None: ...

    def stop(self) -> None: ...

    def start(self, archives: list[Path]) -> None:
        self.starts.append(archives)

    def wait_until_ready(self, *_: object, **_named: object) -> None: ...


def reports_until_it_is_given_up(torchserve: FailingTorchServe, files: ServerFiles) -> list[str]:
    reports: list[str] = []
    gateway = SimpleNamespace(is_alive=lambda: True)
    stack = RunningStack("", Settings(), torchserve, gateway, files=files, report=reports.append)
    with pytest.raises(StartFailed, match="TorchServe ended, as it did before"):
        stack.wait()
    return reports


def test_a_torchserve_that_ends_is_started_again_with_what_is_recorded_by_then_but_not_for_ever(tmp_path: Path) -> None:
    files = ServerFiles(tmp_path)
    archive = serve_story(files, is_changed=False)
    torchserve = FailingTorchServe()
    reports = reports_until_it_is_given_up(torchserve, files)
    assert torchserve.starts == [[archive]] * 3
    assert reports.count("TorchServe serves again") == 3
    starts = [line for line in reports if "starting it again" in line]
    assert [line.partition("starting it again")[2] for line in starts] == ["", " in 0.01 seconds", " in 0.02 seconds"]


class TorchServeThatEndsAsItStarts(FailingTorchServe):
    def wait_until_ready(self, *_: object, **_named: object) -> None:
        raise StartFailed("TorchServe ended: it gave no reason.")


def test_a_torchserve_that_ends_while_it_starts_again_is_started_once_more_but_not_for_ever(tmp_path: Path) -> None:
    files = ServerFiles(tmp_path)
    archive = serve_story(files, is_changed=False)
    torchserve = TorchServeThatEndsAsItStarts()
    reports = reports_until_it_is_given_up(torchserve, files)
    assert torchserve.starts == [[archive]] * 3
    assert "TorchServe ended: it gave no reason." in reports


def test_a_torchserve_that_ends_is_not_started_again_with_another_file(tmp_path: Path) -> None:
    files = ServerFiles(tmp_path)
    archive = serve_story(files, is_changed=False)
    other = build_archive(write_model(tmp_path / "model", weight_bytes=48), "story", "2.0", tmp_path / "other")
    other.replace(archive)
    torchserve = FailingTorchServe()
    gateway = SimpleNamespace(is_alive=lambda: True)
    stack = RunningStack("", Settings(), torchserve, gateway, files=files, report=lambda _: None)
    with pytest.raises(VersionError, match="is not the file that was verified"):
        stack.wait()
    assert torchserve.starts == []


class FrozenTorchServe(FailingTorchServe):
    """It runs, and ends when it is killed."""

    def __init__(self) -> None:
        super().__init__()
        self.num_kills = 0

    def is_running(self) -> bool:
        return self.num_kills == len(self.starts)

    def kill(self) -> None:
        self.num_kills += 1


def test_a_torchserve_that_stands_still_is_killed_and_started_again(tmp_path: Path) -> None:
    files = ServerFiles(tmp_path)
    archive = serve_story(files, is_changed=False)
    torchserve, reports = FrozenTorchServe(), []
    gateway = SimpleNamespace(is_alive=lambda: not torchserve.starts)
    with socket.create_server(("127.0.0.1", 0)) as listener:  # whose kernel takes connections, and nobody else
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        settings = Settings(torchserve_url=url, silence_timeout=0.4)
        stack = RunningStack("", settings, torchserve, gateway, files=files, report=reports.append)
        with pytest.raises(StartFailed, match="The gateway ended"):
            stack.wait()
    assert (torchserve.num_kills, torchserve.starts) == (1, [[archive]])
    assert reports[0] == "TorchServe has not answered for 0.2 seconds: starting it again"


def test_workers_are_looked_after_while_torchserve_runs(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    looks: list[None] = []
    failures = [UpstreamUnavailable("TorchServe does not answer."), PropertiesError("No descriptor is left.")]

    def look(*_: object) -> None:
        looks.append(None)
        if len(looks) <= len(failures):
            raise failures[len(looks) - 1]

    monkeypatch.setattr(healing, "_SECONDS_BETWEEN_LOOKS", 0.01)
    monkeypatch.setattr(running_stack, "RunningServer", lambda *_: None)
    monkeypatch.setattr(LeftOutVersions, "look", lambda *_: None)
    monkeypatch.setattr(WorkerRevival, "look", look)
    gateway = SimpleNamespace(is_alive=lambda: len(looks) < 3)
    files = ServerFiles(tmp_path)
    stack = RunningStack("", Settings(), FrozenTorchServe(), gateway, files=files, report=lambda _: None)
    with pytest.raises(StartFailed, match="The gateway ended"):
        stack.wait()
