import contextlib
import os
import re
import socket
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace

import httpx
import pytest

from adapter.archives.archive import build_archive
from adapter.durable.private_directory import NotPrivate
from adapter.process.thread_priority import NICER_BY
from adapter.serving import whole_stack
from adapter.serving.gateway_server import GatewayServer
from adapter.settings import Settings
from adapter.torchserve.run_directory import RunDirectory, RunDirectoryError
from adapter.torchserve.server_process import StartFailed, TorchServeProcess
from adapter.versions.errors import ServerBusy, VersionError
from adapter.versions.model_store import ModelStore
from adapter.versions.restoration import alone
from adapter.versions.running_server import RunningServer
from adapter.versions.server_files import ServerFiles
from tests.adapter.archives.model_files import write_model
from tests.adapter.archives.repacking import damage
from tests.adapter.fake_torchserve import fake_torchserve
from tests.adapter.served_story import serve_story
from tests.certificates import Authority
from tests.project import PROJECT


def has_ipv6() -> bool:
    with contextlib.suppress(OSError), socket.create_server(("::1", 0), family=socket.AF_INET6):
        return True
    return False


@pytest.fixture(autouse=True)
def nothing_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(whole_stack, "TorchServeProcess", fake_torchserve)
    monkeypatch.setattr(whole_stack, "check_torchserve_ports", lambda _: None)
    monkeypatch.setattr(whole_stack, "restore_others", lambda *_: None)


@pytest.mark.parametrize(("host", "url_host"), [("127.0.0.2", "127.0.0.2"), ("0.0.0.0", "127.0.0.1")])
def test_the_gateway_listens_at_the_host_of_the_settings(
    host: str, url_host: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TORCHBRIDGE_HOST", host)

    model = str(PROJECT / "models" / "tiny")
    with whole_stack.running_stack(model, lambda _: None, port=0, run_directory=tmp_path) as stack:
        assert stack.url.startswith(f"http://{url_host}:")
        assert httpx.get(f"{stack.url}/livez").json() == {"status": "ok"}


def test_the_address_that_is_shown_has_what_callers_write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The scheme of TLS, and the prefix of a proxy."""
    authority = Authority(tmp_path)
    pair = authority.issue(tmp_path / "served")
    monkeypatch.setenv("TORCHBRIDGE_TLS_CERTIFICATE", str(pair.certificate))
    monkeypatch.setenv("TORCHBRIDGE_TLS_KEY", str(pair.key))
    monkeypatch.setenv("TORCHBRIDGE_ROOT_PATH", "/llm")
    with whole_stack.running_stack(None, lambda _: None, port=0, run_directory=tmp_path / "run") as stack:
        assert re.fullmatch(r"https://127\.0\.0\.1:\d+/llm", stack.url)
        address = stack.url.replace("127.0.0.1", "localhost")
        assert httpx.get(f"{address}/livez", verify=authority.trusting()).json() == {"status": "ok"}


@pytest.mark.skipif(not has_ipv6(), reason="this machine has no IPv6")
@pytest.mark.parametrize("host", ["::1", "::"])
def test_ipv6_is_served_and_shown_so_that_it_can_be_called(host: str, tmp_path: Path) -> None:
    with whole_stack.running_stack(None, lambda _: None, host=host, port=0, run_directory=tmp_path) as stack:
        assert re.fullmatch(r"http://\[::1\]:\d+", stack.url)
        assert httpx.get(f"{stack.url}/livez").json() == {"status": "ok"}
        assert stack.is_open_to_all == (host == "::")


@pytest.mark.skipif(not has_ipv6(), reason="this machine has no IPv6")
def test_every_address_of_ipv6_is_every_address_of_ipv4_too(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", "adapter.http.request_envelope")
    with whole_stack.running_stack(None, lambda _: None, host="::", port=0, run_directory=tmp_path) as stack:
        port = stack.url.rpartition(":")[2]
        assert httpx.get(f"http://127.0.0.1:{port}/livez").json() == {"status": "ok"}
    assert " 127.0.0.1 GET /livez 200 " in caplog.text


@pytest.mark.parametrize(
    ("host", "keys", "is_open"),
    [
        pytest.param("127.0.0.1", None, False, id="loopback"),
        pytest.param("0.0.0.0", None, True, id="every address"),
        pytest.param("0.0.0.0", "web:abcdefghijklmnop0123", False, id="with keys"),
    ],
)
def test_it_is_open_to_all_where_other_machines_reach_it_and_no_key_is_asked_for(
    host: str, keys: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, is_open: bool
) -> None:
    if keys:
        monkeypatch.setenv("TORCHBRIDGE_API_KEYS", keys)
    with whole_stack.running_stack(None, lambda _: None, host=host, port=0, run_directory=tmp_path) as stack:
        assert stack.is_open_to_all == is_open


@pytest.mark.parametrize(("keys", "status"), [(None, 403), ("web:abcdefghijklmnop0123", 200)])
def test_without_keys_it_answers_to_no_name_that_is_not_its_own(
    keys: str | None, status: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if keys:
        monkeypatch.setenv("TORCHBRIDGE_API_KEYS", keys)
    monkeypatch.setenv("TORCHBRIDGE_ALLOWED_HOSTS", "gateway")
    with whole_stack.running_stack(None, lambda _: None, port=0, run_directory=tmp_path) as stack:
        statuses = {
            name: httpx.get(f"{stack.url}/livez", headers={"host": f"{name}:8000"}).status_code
            for name in ("127.0.0.1", "localhost", "gateway", "evil.example")
        }

    assert statuses == {"127.0.0.1": 200, "localhost": 200, "gateway": 200, "evil.example": status}


def test_what_it_loads_later_has_the_time_that_its_own_settings_give(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    given: list[float] = []

    def noting_restoration(find_server: Callable[[], RunningServer], _: object) -> None:
        given.append(find_server().settings.load_timeout)

    monkeypatch.setattr(whole_stack, "restore_others", noting_restoration)
    (tmp_path / "settings.toml").write_text("load_timeout = 1800\n")
    (tmp_path / "key_file.json").write_text("{}")  # as TorchServe would have written them
    (tmp_path / "config.properties").write_text("inference_address=http://a\nmanagement_address=http://b\n")
    settings_file = tmp_path / "settings.toml"
    with whole_stack.running_stack(None, lambda _: None, port=0, settings_file=settings_file, run_directory=tmp_path):
        pass
    assert given == [1800]


@pytest.fixture
def served(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """What TorchServe is started with."""
    archives: list[Path] = []

    @contextlib.contextmanager
    def noting_torchserve(*_: object, **__: object) -> Iterator[SimpleNamespace]:
        with fake_torchserve() as torchserve:
            torchserve.start = archives.extend
            yield torchserve

    monkeypatch.setattr(whole_stack, "TorchServeProcess", noting_torchserve)
    return archives


def test_an_archive_is_served_as_it_is_and_under_the_name_that_it_holds(
    tmp_path: Path, served: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    default_models: list[str | None] = []

    def noting_server(settings: Settings) -> GatewayServer:
        default_models.append(settings.default_model)
        return GatewayServer(settings)

    monkeypatch.setattr(whole_stack, "GatewayServer", noting_server)
    archive = build_archive(write_model(tmp_path / "model"), "story", "2.0", tmp_path)
    renamed = archive.rename(tmp_path / "renamed.mar")

    run = tmp_path / "run"
    run.mkdir()
    with whole_stack.running_stack(str(renamed), lambda _: None, port=0, run_directory=run):
        pass

    assert (served, default_models) == ([run / "model_store" / "story-2.0.mar"], ["story"])
    assert served[0].read_bytes() == renamed.read_bytes()


def test_without_a_model_it_serves_what_commands_have_made_of_it(tmp_path: Path, served: list[Path]) -> None:
    files = ServerFiles(tmp_path)
    archive = serve_story(files, is_changed=True)
    with whole_stack.running_stack(None, lambda _: None, port=0, run_directory=tmp_path):
        assert served == [archive]


def test_a_server_that_is_refused_touches_nothing_of_the_one_that_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = ServerFiles(tmp_path / "run")
    archive = build_archive(write_model(tmp_path / "model"), "story", "2.0", tmp_path)
    alone(archive, files, None).write(files.state)
    staged = ModelStore(files.store).stage(archive, "story-3.0.mar")  # a deploy is at it
    before = files.state.read_bytes(), (files.store / archive.name).read_bytes()
    other = build_archive(write_model(tmp_path / "model", weight_bytes=48), "story", "2.0", tmp_path / "other")
    monkeypatch.setattr(whole_stack, "TorchServeProcess", TorchServeProcess)
    with (
        RunDirectory(files.run_directory).lock(),
        pytest.raises(StartFailed, match="Another TorchServe runs in"),
        whole_stack.running_stack(str(other), lambda _: None, port=0, run_directory=files.run_directory),
    ):
        pass
    assert (files.state.read_bytes(), (files.store / archive.name).read_bytes()) == before
    assert staged.exists()


def test_a_server_touches_its_store_under_both_locks_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of the directory, which other servers want, and of the versions, which commands of a lost server still have."""
    files = ServerFiles(tmp_path)
    serve_story(files, is_changed=True)
    held: list[str] = []

    def look(*_: object) -> None:
        with contextlib.suppress(RunDirectoryError), RunDirectory(tmp_path).lock():
            held.append("the directory is free")
        with contextlib.suppress(ServerBusy), files.locked("another"):
            held.append("the versions are free")
        raise Looked

    monkeypatch.setattr(whole_stack, "TorchServeProcess", TorchServeProcess)
    monkeypatch.setattr(whole_stack, "verify_recorded", look)
    with pytest.raises(Looked), whole_stack.running_stack(None, lambda _: None, port=0, run_directory=tmp_path):
        pass
    assert held == []


class Looked(Exception): ...


def test_what_it_had_chosen_itself_is_packed_anew(tmp_path: Path, served: list[Path]) -> None:
    files = ServerFiles(tmp_path)
    serve_story(files, is_changed=False)
    with whole_stack.running_stack(None, lambda _: None, port=0, run_directory=tmp_path):
        assert [archive.name for archive in served] == ["tiny-1.0.mar"]


def test_what_was_damaged_in_the_store_is_packed_anew(tmp_path: Path, served: list[Path]) -> None:
    model = write_model(tmp_path / "story", weight_bytes=48)
    with whole_stack.running_stack(str(model), lambda _: None, port=0, run_directory=tmp_path):
        pass
    [archive] = served
    content = archive.read_bytes()
    damage(archive)
    with whole_stack.running_stack(str(model), lambda _: None, port=0, run_directory=tmp_path):
        pass
    assert archive.read_bytes() == content


def test_a_recorded_archive_that_is_gone_is_said(tmp_path: Path, served: list[Path]) -> None:
    files = ServerFiles(tmp_path)
    archive = serve_story(files, is_changed=True)
    archive.unlink()
    with (
        pytest.raises(VersionError, match=r"story-2\.0\.mar is missing"),
        whole_stack.running_stack(None, lambda _: None, port=0, run_directory=tmp_path),
    ):
        pass
    assert served == []


def test_into_a_directory_that_others_may_write_nothing_is_written(tmp_path: Path) -> None:
    tmp_path.chmod(0o777)
    with (
        pytest.raises(NotPrivate, match="Other users may write"),
        whole_stack.running_stack(None, lambda _: None, port=0, run_directory=tmp_path),
    ):
        pass
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("setting", "said", "compiles"),
    [
        pytest.param(None, None, True, id="by itself"),
        pytest.param("false", None, False, id="by the setting"),
        pytest.param("true", False, False, id="with --no-compile"),
        pytest.param("false", True, True, id="with --compile"),
    ],
)
def test_workers_compile_unless_it_is_switched_off(
    setting: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, said: bool | None, compiles: bool
) -> None:
    monkeypatch.delenv("TORCHBRIDGE_COMPILE")
    if setting is not None:
        monkeypatch.setenv("TORCHBRIDGE_COMPILE", setting)
    options: dict[str, object] = {}

    def noting(*arguments: object, **keywords: object) -> contextlib.AbstractContextManager[SimpleNamespace]:
        options.update(keywords)
        return fake_torchserve(*arguments, **keywords)

    monkeypatch.setattr(whole_stack, "TorchServeProcess", noting)
    with whole_stack.running_stack(None, lambda _: None, port=0, compiles=said, run_directory=tmp_path):
        pass

    assert options["compiles"] is compiles


@pytest.mark.skipif(sys.platform != "linux", reason="threads have no priority of their own")
@pytest.mark.parametrize(
    ("setting", "nicer_by"),
    [pytest.param(None, NICER_BY, id="by itself"), pytest.param("false", 0, id="not where it is switched off")],
)
def test_the_gateway_gives_way_to_the_workers(
    setting: str | None, nicer_by: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if setting is not None:
        monkeypatch.setenv("TORCHBRIDGE_ENGINE_FIRST", setting)
    with whole_stack.running_stack(None, lambda _: None, port=0, run_directory=tmp_path) as stack:
        gateway = stack._gateway.native_id
        assert gateway is not None
        own, others = (os.getpriority(os.PRIO_PROCESS, thread) for thread in (gateway, threading.get_native_id()))

    assert own == min(19, others + nicer_by)
