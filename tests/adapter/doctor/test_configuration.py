"""`torchbridge doctor` on settings, ports and TorchServe's configuration: each fault is made, and found."""

import socket
from dataclasses import replace
from pathlib import Path

import pytest

from adapter.control.app import listen
from adapter.control.messages import control_socket
from adapter.doctor import configuration
from adapter.doctor.finding import Check, Scene, Severity
from adapter.torchserve.server_process import CONFIG_FILE
from tests.adapter.doctor.findings import found
from tests.free_ports import free_port


@pytest.mark.parametrize(
    ("check", "variable", "words"),
    [
        (configuration.check_settings, "TORCHBRIDGE_RATE_LIMITS=60/minute", "TORCHBRIDGE_RATE_LIMIT"),
        (configuration.check_settings, "TORCHBRIDGE_MAX_BODY_BYTES=-1", "TORCHBRIDGE_MAX_BODY_BYTES"),
        (configuration.check_keys, "TORCHBRIDGE_API_KEYS=web:short", "fewer than 16"),
        (configuration.check_keys, "TORCHBRIDGE_API_KEYS_FILE=/missing/keys", "/missing/keys"),
        (configuration.check_keys, "TORCHBRIDGE_OPERATOR_KEYS=short", "TORCHBRIDGE_OPERATOR_KEYS"),
        (configuration.check_keys, "TORCHBRIDGE_RATE_LIMIT=often", "often"),
        (configuration.check_settings, "TORCHBRIDGE_CONFIG=/missing/gateway.toml", "/missing/gateway.toml"),
        (configuration.check_tls, "TORCHBRIDGE_TLS_KEY=/missing/key", "set both, or neither"),
        (configuration.check_gateway_port, "TORCHBRIDGE_HOST=192.0.2.1", "not an address of this machine"),
    ],
)
def test_settings_with_which_nothing_starts(
    check: Check, variable: str, words: str, scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(*variable.split("=", 1))
    finding = found(check, scene)
    assert finding.severity is Severity.WRONG
    assert words in finding.what


def test_what_a_file_of_settings_says_is_looked_at(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    file = scene.run_directory.parent / "gateway.toml"
    file.write_text('rate_limit = "often"')
    monkeypatch.setenv("TORCHBRIDGE_CONFIG", str(file))
    assert "often" in found(configuration.check_keys, scene).what


def test_the_file_of_settings_may_be_an_option(scene: Scene) -> None:
    file = scene.run_directory.parent / "gateway.toml"
    file.write_text('rate_limit = "often"')
    assert "often" in found(configuration.check_keys, replace(scene, settings_file=file)).what


def test_a_password_of_redis_is_not_told(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TORCHBRIDGE_REDIS_URL", f"redis://:s3cret@127.0.0.1:{free_port()}/0")
    finding = found(configuration.check_redis, scene)
    assert "Redis" in finding.what
    assert "s3cret" not in finding.model_dump_json()


def test_a_port_that_somebody_else_has(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        monkeypatch.setenv("TORCHBRIDGE_PORT", str(other.getsockname()[1]))
        assert "Address already in use" in found(configuration.check_gateway_port, scene).what


def test_a_port_of_torchserve_that_somebody_else_has(scene: Scene) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        address = f"http://127.0.0.1:{other.getsockname()[1]}"
        scene.config.write_text(scene.config.read_text() + f"\nmanagement_address={address}")
        assert "TorchServe's management API" in found(configuration.check_torchserve, scene).what


def test_a_configuration_of_torchserve_that_is_not_there(scene: Scene) -> None:
    assert "cannot be read" in found(configuration.check_torchserve, replace(scene, config=Path("/missing"))).what


def test_ports_of_a_server_that_runs_are_its_own(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as gateway, listen(control_socket(scene.run_directory)) as control:
        control.listen()
        monkeypatch.setenv("TORCHBRIDGE_PORT", str(gateway.getsockname()[1]))
        assert list(configuration.check_gateway_port(scene)) == []


def test_a_shipped_configuration_is_one(scene: Scene) -> None:
    assert "cannot be read" not in str(list(configuration.check_torchserve(replace(scene, config=CONFIG_FILE))))
