"""The chart as Helm takes it: what it renders is valid, and what no value is, is refused with words that help."""

import re
import tomllib

import kubernetes_validate
import pytest
import yaml

from tests.deploy.helm import CHART, RELEASE, Helm, HelmRefused, Values
from tests.deploy.value_sets import EVERYTHING, MODELS, ROLLOUT, VALUE_SETS
from tests.project import PROJECT

KUBERNETES = "1.35"
# Of Argo Rollouts, of KEDA and of the Prometheus operator.
FOREIGN_KINDS = {"AnalysisTemplate", "PrometheusRule", "Rollout", "ScaledObject", "ServiceMonitor"}
REFUSED: dict[str, tuple[Values, str]] = {
    "an unknown value": ({"replica": 3}, "replica"),
    "an unknown value within another": ({"shutdown": {"grace": 3}}, "grace"),
    "the tag latest": ({"image": {"tag": "latest"}}, "/image/tag"),
    "no limit of memory": ({"resources": {"limits": {"memory": None}}}, "memory"),
    "both models and model": (MODELS | {"model": "/models/a.mar"}, "models and model: give one of them"),
    "a default model that is none": (MODELS | {"defaultModel": "other"}, "other is none of the models"),
    "an archive without a volume": ({"model": "/models/a.mar"}, "/models/a.mar needs a volume at /models"),
    "an archive's path that is not absolute": (
        {"models": {"a": {"default": "1", "versions": {"1": {"archive": "a.mar"}}}}},
        "/models/a/versions/1/archive",
    ),
    "API keys as a setting": ({"settings": {"API_KEYS": "web:0123456789abcdef"}}, "API_KEYS"),
    "a setting that is a value": ({"settings": {"SHUTDOWN_GRACE": 5}}, "SHUTDOWN_GRACE"),
    "a certificate as a setting": ({"settings": {"TLS_CERTIFICATE": "/certificates/tls.crt"}}, "TLS_CERTIFICATE"),
    "a proxy that is no address": ({"trustedProxies": ["ingress.example.com"]}, "/trustedProxies/0"),
    "a verdict that nobody asks for": ({"rollout": {"verdictOf": "tiny"}}, "rollout.enabled"),
    "a verdict of each pod for itself": ({"rollout": {"enabled": True, "verdictOf": "tiny"}}, "redis.secretName"),
    "a verdict of no model": (ROLLOUT | {"rollout": {"enabled": True, "verdictOf": "other"}}, "other is none of the"),
    "a verdict that may not be read": (ROLLOUT | {"operatorKeys": {"secretName": ""}}, "operatorKeys.secretName"),
    "a monitor that may not read": (
        {"serviceMonitor": {"enabled": True}, "apiKeys": {"secretName": "callers"}},
        "operatorKeys.secretName",
    ),
}


@pytest.mark.parametrize("values", VALUE_SETS.values(), ids=VALUE_SETS)
def test_helm_finds_nothing_wrong(helm: Helm, values: Values) -> None:
    assert "0 chart(s) failed" in helm.lint(values)


@pytest.mark.parametrize("values", VALUE_SETS.values(), ids=VALUE_SETS)
def test_each_object_is_one_that_kubernetes_takes(helm: Helm, values: Values) -> None:
    own = [each for each in helm.render(values) if each["kind"] not in FOREIGN_KINDS]
    assert own
    for manifest in own:
        kubernetes_validate.validate(manifest, KUBERNETES, strict=True)


def test_the_validator_would_find_something(helm: Helm) -> None:
    [*_, manifest] = [each for each in helm.render({}) if each["kind"] == "Deployment"]
    manifest["spec"]["template"]["spec"]["securityContexts"] = {}
    with pytest.raises(kubernetes_validate.ValidationError, match="securityContexts"):
        kubernetes_validate.validate(manifest, KUBERNETES, strict=True)


@pytest.mark.parametrize(("values", "words"), REFUSED.values(), ids=REFUSED)
def test_values_that_are_wrong_are_refused(helm: Helm, values: Values, words: str) -> None:
    with pytest.raises(HelmRefused, match=re.escape(words)):
        helm.render(values)


def test_everything_has_each_value_that_there_is() -> None:
    values = yaml.safe_load((CHART / "values.yaml").read_text())
    missing = {
        "replicas",
        "model",
        "clusterDomain",
        "resources",
        "state",
        "temporary",
        "service",
        "podDisruptionBudget",
        "rollout",
        "dashboards",
    }
    assert set(values) - set(EVERYTHING) == missing


def test_names_fit_whatever_the_release_is_called(helm: Helm) -> None:
    names = {
        each["metadata"]["name"] for each in helm.render(EVERYTHING, release="r" * 53) if each["kind"] == "Service"
    }
    assert len(names) == 2
    assert all(len(name) <= 63 for name in names)


def test_the_chart_has_the_project_s_version() -> None:
    chart = yaml.safe_load((CHART / "Chart.yaml").read_text())
    version = tomllib.loads((PROJECT / "pyproject.toml").read_text())["project"]["version"]
    assert (chart["version"], chart["appVersion"]) == (version, version)


def test_the_notes_say_how_to_call_it_and_what_is_open(helm: Helm) -> None:
    notes = helm.notes({})
    assert f"port-forward service/{RELEASE} 8000:8000" in notes
    assert "No API key is asked for" in notes
    assert "No API key is asked for" not in helm.notes(EVERYTHING)
