"""The runtime for KServe, as KServe would make a pod of it: its own part is no schema of Kubernetes'."""

from typing import Any

import kubernetes_validate
import pytest
import yaml
from typer.main import get_command

from adapter.cli import app
from adapter.settings import check_variables
from tests.deploy.helm import Helm
from tests.deploy.objects import container_of, environment_of, pod_of
from tests.deploy.test_chart import KUBERNETES
from tests.project import PROJECT

DIRECTORY = PROJECT / "deploy" / "kserve"
RUNTIME = yaml.safe_load((DIRECTORY / "serving-runtime.yaml").read_text())
SERVICE = yaml.safe_load((DIRECTORY / "inference-service.yaml").read_text())
PREDICTOR = SERVICE["spec"]["predictor"]


@pytest.fixture
def container() -> dict[str, Any]:
    """Of both: the service's arguments come after those of the runtime."""
    [container] = RUNTIME["spec"]["containers"]
    return container | {"args": container["args"] + PREDICTOR["model"]["args"]}


def test_the_pod_is_one_that_kubernetes_takes(container: dict[str, Any]) -> None:
    of_the_service = {name: value for name, value in PREDICTOR.items() if name != "model"}
    spec = {"containers": [container], "volumes": RUNTIME["spec"]["volumes"], **of_the_service}
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "tiny"}, "spec": spec}
    kubernetes_validate.validate(pod, KUBERNETES, strict=True)


def test_kserve_finds_the_container_and_the_format(container: dict[str, Any]) -> None:
    assert container["name"] == "kserve-container"
    [model_format] = RUNTIME["spec"]["supportedModelFormats"]
    assert model_format["name"] == PREDICTOR["model"]["modelFormat"]["name"]
    assert model_format["autoSelect"] is True


def test_what_is_served_is_what_the_storage_names(container: dict[str, Any]) -> None:
    [command, *arguments] = container["args"]
    commands: Any = get_command(app)
    context = commands.commands[command].make_context(command, arguments)
    name = PREDICTOR["model"]["storageUri"].rpartition("/")[2]
    assert context.params["model"] == f"/mnt/models/{name}"


def test_it_keeps_the_rules_of_the_chart_s_pods(helm: Helm, container: dict[str, Any]) -> None:
    objects = helm.render({})
    of_the_chart = container_of(objects)
    of_the_pod = {
        name: pod_of(objects)["securityContext"][name] for name in ("runAsNonRoot", "runAsUser", "runAsGroup")
    }
    profile = {"seccompProfile": pod_of(objects)["securityContext"]["seccompProfile"]}
    assert container["securityContext"] == of_the_chart["securityContext"] | of_the_pod | profile
    for name in ("resources", "volumeMounts"):
        assert container[name] == of_the_chart[name]
    assert container["image"] == of_the_chart["image"]


@pytest.mark.parametrize("probe", ["startupProbe", "readinessProbe", "livenessProbe"])
def test_it_is_asked_as_the_chart_s_pods_are(helm: Helm, container: dict[str, Any], probe: str) -> None:
    of_the_chart = container_of(helm.render({}))[probe]
    assert container[probe] == of_the_chart | {"httpGet": of_the_chart["httpGet"] | {"port": 8000}}


def test_it_stops_as_the_chart_s_pods_do(helm: Helm, container: dict[str, Any]) -> None:
    environment = environment_of(container)
    check_variables(environment)
    shutdown = {name: value for name, value in environment.items() if "SHUTDOWN" in name}
    objects = helm.render({})
    assert shutdown.items() <= environment_of(container_of(objects)).items()
    assert PREDICTOR["terminationGracePeriodSeconds"] == pod_of(objects)["terminationGracePeriodSeconds"]
    assert PREDICTOR["enableServiceLinks"] is False
