import contextlib
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx
import pytest

from adapter import serve
from adapter.archives.archive import PROJECT
from adapter.gateway_server import GatewayServer
from adapter.settings import Settings
from adapter.torchserve.ports import bind
from tests.adapter.archives.throwaway_archive import ANSWERS, write_archive


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


@pytest.mark.parametrize(("host", "url_host"), [("127.0.0.2", "127.0.0.2"), ("0.0.0.0", "127.0.0.1")])
def test_the_gateway_listens_at_the_host_of_the_settings(
    host: str, url_host: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(serve, "TorchServeProcess", fake_torchserve)
    monkeypatch.setattr(serve, "check_torchserve_ports", lambda _: None)
    monkeypatch.setenv("TORCHBRIDGE_HOST", host)

    model = str(PROJECT / "models" / "tiny")
    with serve.running_stack(model, tmp_path, lambda _: None, port=0, run_directory=tmp_path) as stack:
        assert stack.url.startswith(f"http://{url_host}:")
        assert httpx.get(f"{stack.url}/livez").json() == {"status": "ok"}


def test_an_archive_is_served_as_it_is_and_under_the_name_that_it_holds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    served: list[Path] = []
    default_models: list[str | None] = []

    def noting_torchserve(archives: list[Path], *_: object, **__: object) -> Any:
        served.extend(archives)
        return fake_torchserve()

    def noting_server(settings: Settings) -> GatewayServer:
        default_models.append(settings.default_model)
        return GatewayServer(settings)

    monkeypatch.setattr(serve, "TorchServeProcess", noting_torchserve)
    monkeypatch.setattr(serve, "GatewayServer", noting_server)
    monkeypatch.setattr(serve, "check_torchserve_ports", lambda _: None)
    archive = write_archive(tmp_path, "story", ANSWERS, "2.0")
    renamed = archive.rename(tmp_path / "renamed.mar")
    content = renamed.read_bytes()

    with serve.running_stack(str(renamed), tmp_path / "store", lambda _: None, port=0, run_directory=tmp_path):
        pass

    assert (served, default_models) == ([renamed], ["story"])
    assert renamed.read_bytes() == content
    assert not (tmp_path / "store").exists()


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
