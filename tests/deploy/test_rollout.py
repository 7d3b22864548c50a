"""The chart with Argo Rollouts in the Deployment's place. Its kinds have no schema here, but their pods do."""

from typing import Any
from urllib.parse import parse_qs, urlsplit

import kubernetes_validate
import pytest

from adapter.generation.canary_rule import Decision
from adapter.http.canary_verdict import CanaryVerdict
from tests.deploy.helm import NAMESPACE, RELEASE, Helm, Manifest
from tests.deploy.objects import container_of, environment_of, only
from tests.deploy.test_chart import KUBERNETES
from tests.deploy.value_sets import EVERYTHING, ROLLOUT


@pytest.fixture(scope="module")
def objects(helm: Helm) -> list[Manifest]:
    return helm.render(ROLLOUT)


@pytest.fixture(scope="module")
def metric(objects: list[Manifest]) -> dict[str, Any]:
    [metric] = only(objects, "AnalysisTemplate")["spec"]["metrics"]
    found: dict[str, Any] = metric
    return found


def test_its_pods_are_those_of_the_deployment(helm: Helm, objects: list[Manifest]) -> None:
    rollout, deployment = only(objects, "Rollout")["spec"], only(helm.render(EVERYTHING), "Deployment")["spec"]
    [spread] = rollout["template"]["spec"]["topologySpreadConstraints"]
    assert spread.pop("matchLabelKeys") == ["rollouts-pod-template-hash"]
    [spread] = deployment["template"]["spec"]["topologySpreadConstraints"]
    assert spread.pop("matchLabelKeys") == ["pod-template-hash"]
    for name in ("template", "selector", "progressDeadlineSeconds", "revisionHistoryLimit"):
        assert rollout[name] == deployment[name]


def test_kubernetes_takes_its_pods(objects: list[Manifest]) -> None:
    rollout = only(objects, "Rollout")
    spec = {name: rollout["spec"][name] for name in ("template", "selector")}
    deployment = {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": rollout["metadata"], "spec": spec}
    kubernetes_validate.validate(deployment, KUBERNETES, strict=True)


def test_there_is_one_of_them(helm: Helm, objects: list[Manifest]) -> None:
    assert not {"Deployment"} & {each["kind"] for each in objects}
    assert not {"Rollout", "AnalysisTemplate"} & {each["kind"] for each in helm.render(EVERYTHING)}


def test_no_pod_is_exchanged_before_the_verdict(objects: list[Manifest]) -> None:
    weight, analysis, *others = only(objects, "Rollout")["spec"]["strategy"]["canary"]["steps"]
    name = only(objects, "AnalysisTemplate")["metadata"]["name"]
    assert weight == {"setWeight": 0}
    assert analysis == {"analysis": {"templates": [{"templateName": name}]}}
    assert others == ROLLOUT["rollout"]["steps"]


def test_without_a_verdict_the_pods_are_exchanged_one_after_another(helm: Helm) -> None:
    objects = helm.render({"rollout": {"enabled": True}})
    assert "steps" not in only(objects, "Rollout")["spec"]["strategy"]["canary"]
    assert "AnalysisTemplate" not in {each["kind"] for each in objects}


def test_the_verdict_is_the_gateway_s(metric: dict[str, Any]) -> None:
    words = {metric["successCondition"], metric["failureCondition"]}
    assert words == {f'result == "{each.value}"' for each in (Decision.PROMOTE, Decision.GIVE_UP)}
    assert "verdict" in CanaryVerdict.model_fields
    assert metric["provider"]["web"]["jsonPath"] == "{$.verdict}"
    assert (metric["consecutiveSuccessLimit"], metric["inconclusiveLimit"], metric["interval"]) == (1, 120, "30s")


def test_it_is_asked_by_a_name_that_the_gateways_know(objects: list[Manifest], metric: dict[str, Any]) -> None:
    url = urlsplit(metric["provider"]["web"]["url"])
    assert (url.scheme, url.port, url.path) == ("https", 8000, "/canary/verdict")
    assert parse_qs(url.query) == {"model": ["ours"]}
    assert url.hostname == f"{RELEASE}.{NAMESPACE}.svc"
    assert url.hostname in environment_of(container_of(objects))["TORCHBRIDGE_ALLOWED_HOSTS"].split(",")


def test_it_is_asked_with_an_operator_s_key(objects: list[Manifest], metric: dict[str, Any]) -> None:
    [argument] = only(objects, "AnalysisTemplate")["spec"]["args"]
    assert argument["valueFrom"] == {"secretKeyRef": {"name": "operators", "key": "token"}}
    [header] = metric["provider"]["web"]["headers"]
    assert header == {"key": "Authorization", "value": f"Bearer {{{{ args.{argument['name']} }}}}"}


@pytest.mark.parametrize("kind", ["HorizontalPodAutoscaler", "ScaledObject"])
def test_who_scales_means_the_rollout(helm: Helm, kind: str) -> None:
    target = only(helm.render(ROLLOUT | {"autoscaling": {"kind": kind}}), kind)["spec"]["scaleTargetRef"]
    assert target == {"apiVersion": "argoproj.io/v1alpha1", "kind": "Rollout", "name": RELEASE}


def test_the_notes_have_the_command_that_waits_for_it(helm: Helm) -> None:
    assert f"kubectl --namespace default argo rollouts status {RELEASE}" in helm.notes(ROLLOUT)
    assert "curl -s --insecure https://localhost:8000/generate" in helm.notes(ROLLOUT)
