"""What a container's health check says, of a gateway that is really there."""

from collections.abc import Mapping
from pathlib import Path

import pytest

from adapter.gateway import create_app
from adapter.health_check import is_healthy
from adapter.settings import Settings
from adapter.torchserve.model_registry import ModelRegistry
from tests.adapter.control.running_gateway import running_gateway
from tests.fakes import FakeInference, FakeManagement, serving
from tests.free_ports import free_port


@pytest.fixture
def environment(tmp_path: Path) -> Mapping[str, str]:
    return {"TORCHBRIDGE_RUN_DIRECTORY": str(tmp_path), "TORCHBRIDGE_PORT": str(free_port())}


def test_it_finds_the_gateway_wherever_that_listens(
    environment: Mapping[str, str], tmp_path: Path, management: FakeManagement, inference: FakeInference
) -> None:
    with running_gateway(tmp_path, management, inference):
        assert is_healthy(environment)


def test_one_whose_model_cannot_answer_is_not_well(
    environment: Mapping[str, str], tmp_path: Path, inference: FakeInference
) -> None:
    with running_gateway(tmp_path, FakeManagement({"tiny": {"1.0": 0}}), inference):
        assert not is_healthy(environment)


def test_one_without_a_control_socket_is_asked_at_its_port(
    environment: Mapping[str, str], management: FakeManagement, inference: FakeInference
) -> None:
    with serving(create_app(Settings(), inference=inference, registry=ModelRegistry(management, None))) as url:
        assert is_healthy({**environment, "TORCHBRIDGE_PORT": url.rpartition(":")[2]})


def test_where_nobody_listens_nothing_is_well(environment: Mapping[str, str]) -> None:
    assert not is_healthy(environment)
    assert not is_healthy({**environment, "TORCHBRIDGE_TLS_CERTIFICATE": "tls.crt"})
