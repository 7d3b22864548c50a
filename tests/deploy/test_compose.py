"""One host by compose: of the specification's form, closed to other machines, and with parts that fit together."""

import re
import subprocess
from pathlib import Path
from typing import Any

import check_jsonschema
import pytest
import redis
import yaml

from adapter.settings import Settings, check_variables
from tests.debian_packages import installed_program
from tests.free_ports import free_port
from tests.project import PROJECT
from tests.redis_server import BINARY
from tests.waiting import wait_until

DEPLOY = PROJECT / "deploy"
COMPOSE = DEPLOY / "compose.yaml"
SERVICES: dict[str, dict[str, Any]] = yaml.safe_load(COMPOSE.read_text())["services"]
GATEWAY = SERVICES["gateway"]


def test_it_has_the_form_of_the_compose_specification(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as exit_:
        check_jsonschema.main(["--builtin-schema", "vendor.compose-spec", str(COMPOSE)])
    assert exit_.value.code == 0, capsys.readouterr().out


@pytest.mark.parametrize("service", SERVICES.values(), ids=SERVICES)
def test_nothing_is_reached_from_other_machines(service: dict[str, Any]) -> None:
    assert all(port.startswith("127.0.0.1:") for port in service.get("ports", ()))


@pytest.mark.parametrize("service", SERVICES.values(), ids=SERVICES)
def test_nothing_may_become_root_or_take_all_memory(service: dict[str, Any]) -> None:
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert {"mem_limit", "pids_limit"} <= service.keys()


@pytest.mark.parametrize("service", SERVICES.values(), ids=SERVICES)
def test_each_image_is_of_a_version(service: dict[str, Any]) -> None:
    image = re.sub(r"\$\{\w+:-(.+)\}", r"\1", service["image"])
    assert re.fullmatch(r"[a-z/]+:v?\d[\w.-]+", image)


@pytest.mark.parametrize("service", SERVICES.values(), ids=SERVICES)
def test_each_file_that_is_mounted_is_there(service: dict[str, Any]) -> None:
    sources = [volume.partition(":")[0] for volume in service["volumes"]]
    assert all((DEPLOY / source).exists() for source in sources if source.startswith("."))


def test_the_gateway_s_image_is_of_the_project_s_version() -> None:
    version = yaml.safe_load((DEPLOY / "helm/torchbridge/Chart.yaml").read_text())["version"]
    assert GATEWAY["image"] == f"${{TORCHBRIDGE_IMAGE:-torchbridge:{version}}}"


def test_the_gateway_writes_to_its_volume_and_to_tmp_only() -> None:
    assert GATEWAY["read_only"] is True
    assert GATEWAY["volumes"] == ["state:/var/lib/torchbridge"]
    assert [each.partition(":")[0] for each in GATEWAY["tmpfs"]] == ["/tmp"]


def gateway_settings(monkeypatch: pytest.MonkeyPatch, **of_the_operator: str) -> Settings:
    check_variables(GATEWAY["environment"])
    for name, value in GATEWAY["environment"].items():
        given = re.sub(r"\$\{(\w+):-(.*)\}", lambda found: of_the_operator.get(found[1], found[2]), value)
        monkeypatch.setenv(name, given)
    return Settings()


def test_it_trusts_no_proxy_but_those_that_the_operator_names(monkeypatch: pytest.MonkeyPatch) -> None:
    assert gateway_settings(monkeypatch).trusted_proxies == ()
    named = gateway_settings(monkeypatch, TORCHBRIDGE_TRUSTED_PROXIES="172.18.0.0/16")
    assert named.trusted_proxies == ("172.18.0.0/16",)


def test_it_is_given_the_time_that_its_end_takes(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = gateway_settings(monkeypatch)
    assert GATEWAY["stop_grace_period"] == f"{settings.shutdown_delay + settings.shutdown_grace + 20:.0f}s"


def test_prometheus_asks_the_gateway_by_a_name_that_it_knows() -> None:
    [job] = yaml.safe_load((DEPLOY / "prometheus" / "prometheus.yml").read_text())["scrape_configs"]
    [targets] = [each["targets"] for each in job["static_configs"]]
    assert targets == ["gateway:8000"]
    assert GATEWAY["environment"]["TORCHBRIDGE_ALLOWED_HOSTS"] == "gateway"


def test_prometheus_takes_its_configuration() -> None:
    program = installed_program("promtool", "prometheus")
    if program is None:
        pytest.skip("there is no promtool, and only root can install it")
    file = DEPLOY / "prometheus" / "prometheus.yml"
    subprocess.run([program, "check", "config", str(file)], check=True, capture_output=True, timeout=120)


@pytest.mark.skipif(BINARY is None, reason="there is no redis-server")
def test_redis_takes_its_configuration_and_forgets_answers_first(tmp_path: Path) -> None:
    assert BINARY is not None
    port = free_port()
    # Within its own network it listens at all addresses.
    options = ["--port", str(port), "--bind", "127.0.0.1", "--dir", str(tmp_path)]
    with subprocess.Popen(
        [BINARY, str(DEPLOY / "redis" / "redis.conf"), *options], stdout=subprocess.DEVNULL
    ) as server:
        try:
            with redis.Redis(port=port) as client:
                wait_until(lambda: _answers(client))
                assert client.config_get("maxmemory-policy") == {"maxmemory-policy": "volatile-lru"}
        finally:
            server.terminate()


def _answers(client: "redis.Redis") -> bool:
    try:
        return bool(client.ping())
    except redis.ConnectionError:
        return False
