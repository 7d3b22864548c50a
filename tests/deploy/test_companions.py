"""What stands beside the pods: all of it means these pods, and asks for what they have."""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from adapter.generation.metrics import Metrics
from adapter.versions.desired_state import DesiredState
from tests.deploy.helm import NAMESPACE, RELEASE, Helm, Manifest
from tests.deploy.objects import only
from tests.deploy.value_sets import DASHBOARDS, EVERYTHING, KEDA, MODELS
from tests.project import PROJECT

METRIC = "torchbridge_live_requests"


@pytest.fixture(scope="module")
def objects(helm: Helm) -> list[Manifest]:
    return helm.render(EVERYTHING)


def labels_of_pods(objects: list[Manifest]) -> dict[str, str]:
    labels: dict[str, str] = only(objects, "Deployment")["spec"]["template"]["metadata"]["labels"]
    return labels


def services(objects: list[Manifest]) -> dict[str, Manifest]:
    return {each["metadata"]["name"]: each for each in objects if each["kind"] == "Service"}


def selectors(objects: list[Manifest]) -> dict[str, dict[str, str]]:
    found = {name: service["spec"]["selector"] for name, service in services(objects).items()}
    for kind, field in (
        ("Deployment", "selector"),
        ("PodDisruptionBudget", "selector"),
        ("NetworkPolicy", "podSelector"),
    ):
        found[kind] = only(objects, kind)["spec"][field]["matchLabels"]
    return found


def test_each_selector_means_the_pods_of_each_version(objects: list[Manifest]) -> None:
    labels = {f"app.kubernetes.io/{name}": RELEASE for name in ("name", "instance")}
    names = (RELEASE, f"{RELEASE}-pods", "Deployment", "PodDisruptionBudget", "NetworkPolicy")
    assert selectors(objects) == dict.fromkeys(names, labels)
    assert labels.items() <= labels_of_pods(objects).items()


def test_a_drain_of_nodes_takes_one_pod_at_a_time(objects: list[Manifest]) -> None:
    assert only(objects, "PodDisruptionBudget")["spec"]["maxUnavailable"] == 1


def test_the_models_are_a_file_that_serve_reads(objects: list[Manifest], tmp_path: Path) -> None:
    file = tmp_path / "models.yaml"
    file.write_text(only(objects, "ConfigMap")["data"]["models.yaml"])
    read = DesiredState.read(file)
    assert read.model_dump(exclude_defaults=True) == {
        "models": MODELS["models"]
        | {"tiny": {"default": "1.0", "versions": {"1.0": {"archive": "/models/tiny-1.0.mar"}}}},
        "default_model": "ours",
    }


def test_the_number_of_pods_goes_by_a_metric_that_there_is(objects: list[Manifest]) -> None:
    spec = only(objects, "HorizontalPodAutoscaler")["spec"]
    [metric] = spec["metrics"]
    assert metric["pods"]["metric"] == {"name": METRIC}
    assert f"\n{METRIC} 3.0\n" in Metrics(lambda: 3, lambda: 0).render().decode()
    assert spec["scaleTargetRef"]["name"] == only(objects, "Deployment")["metadata"]["name"]


def test_who_scales_decides_alone_about_the_number(helm: Helm, objects: list[Manifest]) -> None:
    assert "replicas" not in only(objects, "Deployment")["spec"]
    assert only(helm.render({"replicas": 0}), "Deployment")["spec"]["replicas"] == 0


def test_keda_asks_for_the_pods_of_this_service(helm: Helm) -> None:
    scaled = only(helm.render(KEDA), "ScaledObject")["spec"]
    [trigger] = scaled["triggers"]
    assert trigger["metadata"]["query"] == f'sum({METRIC}{{namespace="{NAMESPACE}",service="{RELEASE}"}})'
    assert isinstance(trigger["metadata"]["threshold"], str)
    assert scaled["scaleTargetRef"] == {"apiVersion": "apps/v1", "kind": "Deployment", "name": RELEASE}


def test_prometheus_reads_each_pod_once_and_with_an_operator_s_key(objects: list[Manifest]) -> None:
    spec = only(objects, "ServiceMonitor")["spec"]
    wanted = spec["selector"]["matchLabels"].items()
    matching = [name for name, service in services(objects).items() if wanted <= service["metadata"]["labels"].items()]
    assert matching == [RELEASE]
    [endpoint] = spec["endpoints"]
    assert endpoint["authorization"]["credentials"] == {"name": "operators", "key": "token"}


def test_prometheus_expects_the_certificate_of_the_service(helm: Helm, objects: list[Manifest]) -> None:
    [endpoint] = only(objects, "ServiceMonitor")["spec"]["endpoints"]
    authority = {"secret": {"name": "certificate", "key": "ca.crt"}}
    assert (endpoint["scheme"], endpoint["tlsConfig"]) == (
        "https",
        {"serverName": f"{RELEASE}.{NAMESPACE}.svc", "ca": authority},
    )
    of_the_world = {"secretName": "certificate", "authorityEntry": "", "serverName": "llm.example.com"}
    [endpoint] = only(helm.render(EVERYTHING | {"tls": of_the_world}), "ServiceMonitor")["spec"]["endpoints"]
    assert endpoint["tlsConfig"] == {"serverName": "llm.example.com"}
    [endpoint] = only(helm.render({"serviceMonitor": {"enabled": True}}), "ServiceMonitor")["spec"]["endpoints"]
    assert not {"scheme", "tlsConfig"} & set(endpoint)


def test_the_alerts_are_those_of_prometheus_and_mean_this_service(helm: Helm) -> None:
    values = {"prometheusRule": {"enabled": True}}
    rules = only(helm.render(values), "PrometheusRule")["spec"]
    assert rules == yaml.safe_load((PROJECT / "deploy/prometheus/torchbridge.rules.yml").read_text())
    other = only(helm.render(values, release="other"), "PrometheusRule")
    expressions = [rule["expr"] for group in other["spec"]["groups"] for rule in group["rules"]]
    assert f'up{{job="{other["metadata"]["name"]}"}} == 0' in expressions
    assert not [each for each in expressions if f'job="{RELEASE}"' in each]


def test_the_dashboards_are_those_of_grafana_with_the_label_that_its_sidecar_looks_for(helm: Helm) -> None:
    found = only(helm.render(DASHBOARDS), "ConfigMap")
    files = sorted((PROJECT / "deploy" / "grafana").glob("*.json"))
    assert files
    assert {name: json.loads(text) for name, text in found["data"].items()} == {
        file.name: json.loads(file.read_text()) for file in files
    }
    assert found["metadata"]["labels"]["grafana_dashboard"] == "1"


def ports(rules: list[dict[str, Any]]) -> list[Any]:
    return [[port["port"] for port in rule["ports"]] for rule in rules]


def test_only_the_namespace_and_who_is_named_may_call(objects: list[Manifest]) -> None:
    [rule] = only(objects, "NetworkPolicy")["spec"]["ingress"]
    assert rule["from"] == [{"podSelector": {}}, *EVERYTHING["networkPolicy"]["from"]]


def test_pods_call_nobody_but_redis_and_who_is_named(helm: Helm, objects: list[Manifest]) -> None:
    assert ports(only(objects, "NetworkPolicy")["spec"]["egress"]) == [[53, 53], [6379], [443]]
    closed = only(helm.render({}), "NetworkPolicy")["spec"]
    assert closed["policyTypes"] == ["Ingress", "Egress"]
    assert closed["egress"] == []


def test_the_headless_service_has_an_address_for_each_pod(objects: list[Manifest]) -> None:
    assert services(objects)[f"{RELEASE}-pods"]["spec"]["clusterIP"] == "None"
