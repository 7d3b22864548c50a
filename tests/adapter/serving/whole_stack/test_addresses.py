"""Where the gateway of a server listens, what is shown of it, and whom it answers."""

import contextlib
import re
import socket
from pathlib import Path

import httpx
import pytest

from adapter.serving import whole_stack
from tests.certificates import Authority
from tests.project import PROJECT


def has_ipv6() -> bool:
    with contextlib.suppress(OSError), socket.create_server(("::1", 0), family=socket.AF_INET6):
        return True
    return False


@pytest.mark.parametrize(("host", "url_host"), [("127.0.0.2", "127.0.0.2"), ("0.0.0.0", "127.0.0.1")])
def test_the_gateway_listens_at_the_host_of_the_settings(
    host: str, url_host: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TORCHBRIDGE_HOST", host)

    model = str(PROJECT / "models" / "tiny")
    with whole_stack.whole_stack(model, lambda _: None, port=0, run_directory=tmp_path) as stack:
        assert stack.url.startswith(f"http://{url_host}:")
        assert httpx.get(f"{stack.url}/livez").json() == {"status": "ok"}


def test_the_address_that_is_shown_has_what_callers_write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The scheme of TLS, and the prefix of a proxy."""
    authority = Authority(tmp_path)
    pair = authority.issue(tmp_path / "served")
    monkeypatch.setenv("TORCHBRIDGE_TLS_CERTIFICATE", str(pair.certificate))
    monkeypatch.setenv("TORCHBRIDGE_TLS_KEY", str(pair.key))
    monkeypatch.setenv("TORCHBRIDGE_ROOT_PATH", "/llm")
    with whole_stack.whole_stack(None, lambda _: None, port=0, run_directory=tmp_path / "run") as stack:
        assert re.fullmatch(r"https://127\.0\.0\.1:\d+/llm", stack.url)
        address = stack.url.replace("127.0.0.1", "localhost")
        assert httpx.get(f"{address}/livez", verify=authority.trusting()).json() == {"status": "ok"}


@pytest.mark.skipif(not has_ipv6(), reason="this machine has no IPv6")
@pytest.mark.parametrize("host", ["::1", "::"])
def test_ipv6_is_served_and_shown_so_that_it_can_be_called(host: str, tmp_path: Path) -> None:
    with whole_stack.whole_stack(None, lambda _: None, host=host, port=0, run_directory=tmp_path) as stack:
        assert re.fullmatch(r"http://\[::1\]:\d+", stack.url)
        assert httpx.get(f"{stack.url}/livez").json() == {"status": "ok"}
        assert stack.is_open_to_all == (host == "::")


@pytest.mark.skipif(not has_ipv6(), reason="this machine has no IPv6")
def test_every_address_of_ipv6_is_every_address_of_ipv4_too(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", "adapter.http.request_envelope")
    with whole_stack.whole_stack(None, lambda _: None, host="::", port=0, run_directory=tmp_path) as stack:
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
    with whole_stack.whole_stack(None, lambda _: None, host=host, port=0, run_directory=tmp_path) as stack:
        assert stack.is_open_to_all == is_open


@pytest.mark.parametrize(("keys", "status"), [(None, 403), ("web:abcdefghijklmnop0123", 200)])
def test_without_keys_it_answers_to_no_name_that_is_not_its_own(
    keys: str | None, status: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if keys:
        monkeypatch.setenv("TORCHBRIDGE_API_KEYS", keys)
    monkeypatch.setenv("TORCHBRIDGE_ALLOWED_HOSTS", "gateway")
    with whole_stack.whole_stack(None, lambda _: None, port=0, run_directory=tmp_path) as stack:
        statuses = {
            name: httpx.get(f"{stack.url}/livez", headers={"host": f"{name}:8000"}).status_code
            for name in ("127.0.0.1", "localhost", "gateway", "evil.example")
        }

    assert statuses == {"127.0.0.1": 200, "localhost": 200, "gateway": 200, "evil.example": status}
