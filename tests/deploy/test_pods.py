"""The rules that each pod of the chart keeps."""

import re
from typing import Any

import pytest
from pydantic import SecretStr
from typer.main import get_command

from adapter.cli import app
from adapter.serving.gateway_server import GatewayServer
from adapter.settings import Settings, check_variables
from tests.deploy.helm import Helm, Manifest, Values
from tests.deploy.objects import container_of, environment_of, only, pod_of, workload_of
from tests.deploy.value_sets import EVERYTHING, VALUE_SETS
from tests.project import PROJECT

TORCHSERVE_END_SECONDS = 10


@pytest.fixture(scope="module", params=VALUE_SETS.values(), ids=VALUE_SETS)
def objects(helm: Helm, request: pytest.FixtureRequest) -> list[Manifest]:
    return helm.render(request.param)


@pytest.fixture
def settings(objects: list[Manifest], monkeypatch: pytest.MonkeyPatch) -> Settings:
    """As the pod's gateway has them."""
    environment = environment_of(container_of(objects))
    check_variables(environment)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    return Settings()


def test_nothing_runs_as_root_or_may_become_it(objects: list[Manifest]) -> None:
    pod, container = pod_of(objects)["securityContext"], container_of(objects)["securityContext"]
    assert pod["runAsNonRoot"] is True
    assert (pod["runAsUser"], pod["runAsGroup"]) == (10001, 10001)
    assert pod["seccompProfile"] == {"type": "RuntimeDefault"}
    assert container["allowPrivilegeEscalation"] is False
    assert container["capabilities"] == {"drop": ["ALL"]}


def test_the_root_is_read_only_and_what_is_written_has_a_volume(objects: list[Manifest]) -> None:
    container = container_of(objects)
    assert container["securityContext"]["readOnlyRootFilesystem"] is True
    written = {mount["mountPath"] for mount in container["volumeMounts"] if not mount.get("readOnly")}
    assert written == {"/var/lib/torchbridge", "/tmp"}
    emptied = {volume["name"]: volume["emptyDir"] for volume in pod_of(objects)["volumes"] if "emptyDir" in volume}
    assert all("sizeLimit" in each for each in emptied.values())
    assert set(emptied) == {"state", "temporary"}


def test_each_mount_has_a_volume_and_each_volume_a_mount(objects: list[Manifest]) -> None:
    mounts = sorted(mount["name"] for mount in container_of(objects)["volumeMounts"])
    assert mounts == sorted(volume["name"] for volume in pod_of(objects)["volumes"])


def test_a_certificate_lies_where_the_gateway_looks_for_it(helm: Helm) -> None:
    objects = helm.render(EVERYTHING)
    [tls] = [each["secret"] for each in pod_of(objects)["volumes"] if each["name"] == "tls"]
    [mount] = [each["mountPath"] for each in container_of(objects)["volumeMounts"] if each["name"] == "tls"]
    environment = environment_of(container_of(objects))
    files = {f"{mount}/{item['path']}" for item in tls["items"]}
    assert files == {environment["TORCHBRIDGE_TLS_CERTIFICATE"], environment["TORCHBRIDGE_TLS_KEY"]}
    assert {item["key"] for item in tls["items"]} == {"tls.crt", "tls.key"}  # of a Secret of the type kubernetes.io/tls


def test_proxies_that_are_trusted_are_a_setting(helm: Helm) -> None:
    environment = environment_of(container_of(helm.render(EVERYTHING)))
    assert environment["TORCHBRIDGE_TRUSTED_PROXIES"] == "10.1.0.0/16,2001:db8::/32"


def test_a_volume_keeps_its_rights_when_it_is_mounted_again(objects: list[Manifest]) -> None:
    # Else the group may write in the run directory, which the server then refuses.
    assert pod_of(objects)["securityContext"]["fsGroupChangePolicy"] == "OnRootMismatch"


def test_the_image_is_one_and_the_same_tomorrow(objects: list[Manifest]) -> None:
    name = container_of(objects)["image"].rpartition("/")[2]
    assert "@sha256:" in name or ":" in name
    assert not name.endswith(":latest")


def test_memory_is_limited_to_what_is_reserved(objects: list[Manifest]) -> None:
    resources = container_of(objects)["resources"]
    assert resources["limits"]["memory"] == resources["requests"]["memory"]


def test_the_time_to_stop_is_what_all_its_parts_take(objects: list[Manifest], settings: Settings) -> None:
    files = ("api_keys_file", "operator_keys_file", "tls_certificate", "tls_key")
    without_files = settings.model_copy(update=dict.fromkeys(files))
    longest = GatewayServer(without_files).longest_end
    assert pod_of(objects)["terminationGracePeriodSeconds"] == longest + TORCHSERVE_END_SECONDS
    assert "lifecycle" not in container_of(objects)


def test_it_is_started_again_only_after_all_that_a_start_may_take(objects: list[Manifest], settings: Settings) -> None:
    probe = container_of(objects)["startupProbe"]
    patience = probe["periodSeconds"] * probe["failureThreshold"]
    assert probe["httpGet"]["path"] == "/readyz"
    assert patience > settings.load_timeout
    assert workload_of(objects)["spec"]["progressDeadlineSeconds"] > patience


def test_a_model_that_cannot_answer_gets_no_requests_and_only_a_gateway_that_hangs_is_ended(
    objects: list[Manifest],
) -> None:
    container = container_of(objects)
    assert container["readinessProbe"]["httpGet"].items() >= {"path": "/readyz", "port": "http"}.items()
    assert container["readinessProbe"]["timeoutSeconds"] > 5  # which /readyz waits for a token
    assert container["livenessProbe"]["httpGet"].items() >= {"path": "/livez", "port": "http"}.items()


def test_the_gateway_is_asked_as_it_speaks(objects: list[Manifest], settings: Settings) -> None:
    asked = [probe["httpGet"].get("scheme", "HTTP") for name, probe in container_of(objects).items() if "Probe" in name]
    assert asked == ["HTTPS" if settings.tls_certificate else "HTTP"] * 3


def test_the_balancer_sees_that_it_is_not_ready_before_it_stops_serving(
    objects: list[Manifest], settings: Settings
) -> None:
    probe = container_of(objects)["readinessProbe"]
    assert settings.shutdown_delay >= probe["periodSeconds"] * probe["failureThreshold"]


def test_a_rollout_never_has_fewer_pods(objects: list[Manifest]) -> None:
    strategy = workload_of(objects)["spec"]["strategy"]
    few = strategy.get("rollingUpdate") or strategy["canary"]
    assert (few["maxSurge"], few["maxUnavailable"]) == (1, 0)


def test_services_of_the_namespace_are_not_taken_for_settings(objects: list[Manifest]) -> None:
    assert pod_of(objects)["enableServiceLinks"] is False


def test_it_has_no_token_of_kubernetes(objects: list[Manifest]) -> None:
    assert pod_of(objects)["automountServiceAccountToken"] is False
    assert only(objects, "ServiceAccount")["automountServiceAccountToken"] is False


def test_its_arguments_are_ones_of_the_command(objects: list[Manifest]) -> None:
    [command, *arguments] = container_of(objects)["args"]
    # A key is there where the pod runs.
    arguments = [re.sub(r"/.*\.pub\Z", str(PROJECT / "LICENSE"), argument) for argument in arguments]
    commands: Any = get_command(app)
    commands.commands[command].make_context(command, arguments)


def test_no_secret_is_in_an_argument_or_in_the_objects(objects: list[Manifest]) -> None:
    hidden = {f"TORCHBRIDGE_{name.upper()}" for name, field in Settings.model_fields.items() if _is_secret(field)}
    assert "TORCHBRIDGE_API_KEYS" in hidden
    assert hidden.isdisjoint(environment_of(container_of(objects)))
    assert {each["kind"] for each in objects}.isdisjoint({"Secret"})
    config_maps = [each for each in objects if each["kind"] == "ConfigMap"]
    shown = {path.name for path in (PROJECT / "deploy" / "grafana").glob("*.json")}
    assert all(set(each["data"]) <= {"models.yaml", *shown} for each in config_maps)


def _is_secret(field: Any) -> bool:
    return SecretStr.__name__ in repr(field.annotation)


def test_secrets_come_by_name(helm: Helm) -> None:
    objects = helm.render(EVERYTHING)
    secrets = {
        volume["name"]: volume["secret"]["secretName"] for volume in pod_of(objects)["volumes"] if "secret" in volume
    }
    named = {"key": "release-key", "api-keys": "callers", "operator-keys": "operators", "tls": "certificate"}
    assert secrets == named
    [url] = [each for each in container_of(objects)["env"] if each["name"] == "TORCHBRIDGE_REDIS_URL"]
    assert url["valueFrom"] == {"secretKeyRef": {"name": "shared", "key": "url"}}


def test_a_file_of_keys_is_one_that_the_gateway_takes(helm: Helm) -> None:
    pod = pod_of(helm.render(EVERYTHING))
    modes = [volume["secret"]["defaultMode"] for volume in pod["volumes"] if "secret" in volume]
    # adapter/http/api_keys.py: root's, at most 0640, and read by the group that the volume is given to.
    assert modes == [0o440] * 4
    assert pod["securityContext"]["fsGroup"] == pod["securityContext"]["runAsGroup"]


@pytest.mark.parametrize("name", ["torchbridge", "torchbridge-pods", "torchbridge.models.svc.cluster.local"])
def test_a_gateway_without_keys_knows_the_services_by_name(helm: Helm, name: str) -> None:
    hosts = environment_of(container_of(helm.render({})))["TORCHBRIDGE_ALLOWED_HOSTS"]
    assert name in hosts.split(",")


def test_settings_are_what_they_were(helm: Helm) -> None:
    environment = environment_of(container_of(helm.render(EVERYTHING)))
    assert environment["TORCHBRIDGE_MAX_BODY_BYTES"] == "1048576"
    assert environment["TORCHBRIDGE_ENGINE_FIRST"] == "false"
    assert environment["TORCHBRIDGE_RATE_LIMIT"] == "60/minute"


def test_other_models_make_other_pods_and_the_same_models_the_same(helm: Helm) -> None:
    def template(values: Values) -> Any:
        return only(helm.render(values), "Deployment")["spec"]["template"]

    fewer = EVERYTHING | {"models": {"ours": EVERYTHING["models"]["ours"]}}
    assert template(EVERYTHING) == template(EVERYTHING | {"replicas": 7})
    assert template(EVERYTHING) != template(fewer)
