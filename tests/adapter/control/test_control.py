"""The control socket of a running gateway, through its real client and uvicorn."""

import socket
import threading
import time
from pathlib import Path

import httpx
import pytest

from adapter.control.app import listen
from adapter.control.client import ControlClient, GatewayNotRunning
from adapter.control.messages import control_socket
from adapter.errors import ModelNotFound, ModelNotReady, TorchbridgeError, UpstreamUnavailable
from adapter.simulator.management import description
from tests.fakes import FakeManagement


def test_tells_what_runs_where(client: ControlClient) -> None:
    report = client.traffic()
    version = report.of("tiny", "1.0")
    assert version is not None
    assert (version.is_default, version.ready_workers, version.live_requests) == (True, 1, 0)
    assert report.default_version("tiny") == "1.0"


def test_tells_what_torchserve_has_of_a_version(
    client: ControlClient, management: FakeManagement, monkeypatch: pytest.MonkeyPatch
) -> None:
    restarting = description("tiny", "1.0", are_ready=[False], slots=4, wanted=1, num_waiting=7)
    monkeypatch.setattr(management, "describe", lambda _: [restarting])
    version = client.traffic().of("tiny", "1.0")
    assert version is not None
    assert (version.ready_workers, version.workers, version.queued_in_torchserve) == (0, 1, 7)


def test_after_an_answer_no_request_is_given_to_the_default_version_of_before(
    client: ControlClient, url: str, management: FakeManagement
) -> None:
    assert httpx.post(f"{url}/generate", json={"prompt": "Once"}).json()["model_version"] == "1.0"
    management.served = {"tiny": {"2.0": 1, "1.0": 1}}
    assert client.traffic().default_version("tiny") == "2.0"
    assert httpx.post(f"{url}/generate", json={"prompt": "Once"}).json()["model_version"] == "2.0"


def test_a_hold_is_seen_by_requests_and_ends_with_the_release(client: ControlClient, url: str) -> None:
    client.hold("tiny", "1.0")
    answers: list[int] = []
    asking = threading.Thread(
        target=lambda: answers.append(httpx.post(f"{url}/generate", json={"prompt": "Once"}, timeout=60).status_code)
    )
    asking.start()
    while not (held := client.traffic().of("tiny", "1.0")) or not held.held_requests:
        time.sleep(0.01)
    assert answers == []
    client.release("tiny", "1.0")
    asking.join()
    assert answers == [200]


def test_the_default_model_is_told_and_changed(client: ControlClient, url: str, management: FakeManagement) -> None:
    management.served = {"tiny": {"1.0": 1}, "chat": {"1.0": 1}}
    client.set_default_model("chat")
    assert client.traffic().default_model == "chat"
    assert httpx.post(f"{url}/generate", json={"prompt": "Once"}).json()["model"] == "chat"


@pytest.mark.parametrize(("name", "error"), [("absent", ModelNotFound), ("chat", ModelNotReady)])
def test_what_would_answer_nobody_does_not_become_the_default_model(
    client: ControlClient, management: FakeManagement, name: str, error: type[TorchbridgeError]
) -> None:
    management.served = {"tiny": {"1.0": 1}, "chat": {"1.0": 0}}
    client.set_default_model("tiny")
    with pytest.raises(error):
        client.set_default_model(name)
    assert client.traffic().default_model == "tiny"


def test_it_is_ready_as_long_as_something_is_served(
    client: ControlClient, url: str, management: FakeManagement
) -> None:
    management.served = {"tiny": {"1.0": 1}, "chat": {"1.0": 1}}
    client.set_default_model("tiny")
    management.served = {"chat": {"1.0": 1}}
    client.traffic()
    assert httpx.get(f"{url}/readyz").status_code == 200
    refused = httpx.post(f"{url}/generate", json={"prompt": "Once"})
    assert (refused.status_code, refused.json()["code"]) == (404, "model_not_found")
    assert "The default model is not served" in refused.json()["detail"]


@pytest.mark.parametrize("path", ["/traffic", "/default-model", "/holds", "/canaries", "/control/traffic"])
def test_nothing_of_it_is_reached_over_tcp(url: str, path: str) -> None:
    for host in ("gateway", "control.sock", ""):
        assert httpx.get(url + path, headers={"host": host}).status_code == 404


def test_only_its_user_can_open_the_socket(client: ControlClient, tmp_path: Path) -> None:
    client.traffic()
    assert control_socket(tmp_path).stat().st_mode & 0o777 == 0o600


def test_a_failure_of_torchserve_is_the_same_error_here(client: ControlClient, management: FakeManagement) -> None:
    management.failure = UpstreamUnavailable("TorchServe does not answer.")
    with pytest.raises(UpstreamUnavailable):
        client.traffic()


def test_without_a_gateway_it_says_so(tmp_path: Path) -> None:
    with pytest.raises(GatewayNotRunning, match="torchbridge serve"):
        ControlClient(control_socket(tmp_path)).traffic()


def test_a_socket_that_an_ended_gateway_left_is_taken_over(tmp_path: Path) -> None:
    path = control_socket(tmp_path)
    with socket.socket(socket.AF_UNIX) as left:
        left.bind(str(path))
    with listen(path) as listener:
        assert listener.getsockname() == str(path)
