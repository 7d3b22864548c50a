import contextlib
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx
import pytest

from adapter import serve
from adapter.archives.archive import PROJECT, build_archive
from adapter.gateway_server import GatewayServer
from adapter.settings import Settings
from adapter.torchserve.ports import bind
from adapter.torchserve.server_process import StartFailed
from adapter.versions.errors import VersionError
from adapter.versions.restoration import install, state_of
from adapter.versions.running_server import ServerFiles
from tests.adapter.archives.model_files import write_model


@contextlib.contextmanager
def fake_torchserve(*_: object, **__: object) -> Iterator[SimpleNamespace]:
    """As TorchServeProcess, but nothing runs."""
    addresses = {"inference_address": "http://127.0.0.1:1", "management_address": "http://127.0.0.1:1"}
    yield SimpleNamespace(
        properties=addresses,
        keys=SimpleNamespace(path=Path("key_file.json")),
        start=lambda: None,
        wait_until_ready=lambda _: None,
    )


@pytest.fixture(autouse=True)
def nothing_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(serve, "TorchServeProcess", fake_torchserve)
    monkeypatch.setattr(serve, "check_torchserve_ports", lambda _: None)
    monkeypatch.setattr(serve, "restore_others", lambda *_: None)


@pytest.mark.parametrize(("host", "url_host"), [("127.0.0.2", "127.0.0.2"), ("0.0.0.0", "127.0.0.1")])
def test_the_gateway_listens_at_the_host_of_the_settings(
    host: str, url_host: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TORCHBRIDGE_HOST", host)

    model = str(PROJECT / "models" / "tiny")
    with serve.running_stack(model, lambda _: None, port=0, run_directory=tmp_path) as stack:
        assert stack.url.startswith(f"http://{url_host}:")
        assert httpx.get(f"{stack.url}/livez").json() == {"status": "ok"}


@pytest.fixture
def served(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """What TorchServe is started with."""
    archives: list[Path] = []

    def noting_torchserve(given: list[Path], *_: object, **__: object) -> Any:
        archives.extend(given)
        return fake_torchserve()

    monkeypatch.setattr(serve, "TorchServeProcess", noting_torchserve)
    return archives


def test_an_archive_is_served_as_it_is_and_under_the_name_that_it_holds(
    tmp_path: Path, served: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    default_models: list[str | None] = []

    def noting_server(settings: Settings) -> GatewayServer:
        default_models.append(settings.default_model)
        return GatewayServer(settings)

    monkeypatch.setattr(serve, "GatewayServer", noting_server)
    archive = build_archive(write_model(tmp_path / "model"), "story", "2.0", tmp_path)
    renamed = archive.rename(tmp_path / "renamed.mar")

    run = tmp_path / "run"
    run.mkdir()
    with serve.running_stack(str(renamed), lambda _: None, port=0, run_directory=run):
        pass

    assert (served, default_models) == ([run / "model_store" / "story-2.0.mar"], ["story"])
    assert served[0].read_bytes() == renamed.read_bytes()


def test_without_a_model_it_serves_what_commands_have_made_of_it(tmp_path: Path, served: list[Path]) -> None:
    files = ServerFiles(tmp_path)
    archive = install(build_archive(write_model(tmp_path / "model"), "story", "2.0", tmp_path), files)
    state_of(archive).model_copy(update={"is_changed": True}).write(files.state)
    with serve.running_stack(None, lambda _: None, port=0, run_directory=tmp_path):
        assert served == [archive]


def test_what_it_had_chosen_itself_is_packed_anew(tmp_path: Path, served: list[Path]) -> None:
    files = ServerFiles(tmp_path)
    state_of(install(build_archive(write_model(tmp_path / "model"), "story", "2.0", tmp_path), files)).write(
        files.state
    )
    with serve.running_stack(None, lambda _: None, port=0, run_directory=tmp_path):
        assert [archive.name for archive in served] == ["tiny-1.0.mar"]


def test_a_recorded_archive_that_is_gone_is_said(tmp_path: Path, served: list[Path]) -> None:
    files = ServerFiles(tmp_path)
    archive = install(build_archive(write_model(tmp_path / "model"), "story", "2.0", tmp_path), files)
    state_of(archive).model_copy(update={"is_changed": True}).write(files.state)
    archive.unlink()
    with (
        pytest.raises(VersionError, match=r"story-2\.0\.mar is missing"),
        serve.running_stack(None, lambda _: None, port=0, run_directory=tmp_path),
    ):
        pass
    assert served == []


class FailingTorchServe:
    """As TorchServeProcess: it has ended each time somebody looks."""

    directory = SimpleNamespace(logs="logs")

    def __init__(self) -> None:
        self.starts: list[list[Path]] = []

    def is_running(self) -> bool:
        return False

    def stop(self) -> None: ...

    def start(self, archives: list[Path]) -> None:
        self.starts.append(archives)

    def wait_until_ready(self, _: object) -> None: ...


def test_a_torchserve_that_ends_is_started_again_with_what_is_recorded_by_then_but_not_for_ever(tmp_path: Path) -> None:
    files = ServerFiles(tmp_path)
    archive = install(build_archive(write_model(tmp_path / "model"), "story", "2.0", tmp_path), files)
    state_of(archive).write(files.state)
    torchserve, reports = FailingTorchServe(), []
    gateway = SimpleNamespace(is_alive=lambda: True)
    stack = serve.RunningStack("", Settings(), torchserve, gateway, files=files, report=reports.append)
    with pytest.raises(StartFailed, match="TorchServe ended, as it did before"):
        stack.wait()
    assert torchserve.starts == [[archive]] * 3
    assert reports.count("TorchServe serves again") == 3


@pytest.mark.parametrize(
    ("host", "callable_at"),
    [
        ("127.0.0.1", "http://127.0.0.1"),
        ("localhost", "http://127.0.0.1"),
        ("0.0.0.0", "http://127.0.0.1"),
        ("::1", "http://[::1]"),
        ("::", "http://[::1]"),
    ],
)
def test_the_address_that_is_shown_can_be_called_wherever_the_gateway_listens(host: str, callable_at: str) -> None:
    with bind(host, 0, "the gateway", "") as listener:
        assert serve.url_of(listener) == f"{callable_at}:{listener.getsockname()[1]}"
