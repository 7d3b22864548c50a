"""/metrics beside what others say of it: OpenTelemetry's conventions, inference gateways' protocol, and promtool."""

import re
import subprocess
from collections.abc import Iterator
from typing import NamedTuple

import pytest
import yaml
from fastapi.testclient import TestClient
from prometheus_client import Metric
from prometheus_client.parser import text_string_to_metric_families

from adapter.gateway import create_app
from adapter.generation.canary import Canaries
from adapter.generation.canary_metrics import CanaryMetrics
from adapter.generation.engine_metrics import engine_families
from adapter.settings import Settings
from adapter.torchserve.model_registry import ModelRegistry
from tests.debian_packages import installed_program
from tests.fakes import FakeInference, FakeManagement
from tests.project import PROJECT


class Convention(NamedTuple):
    unit: str
    boundaries: tuple[float, ...]
    attributes: frozenset[str]


# Quoted from open-telemetry/semantic-conventions-genai at 004902b8cb70 (on semantic conventions 1.42.0): name, unit and
# attributes from model/gen-ai/metrics.yaml, boundaries from docs/gen-ai/gen-ai-metrics.md.
ATTRIBUTES = frozenset(
    {
        "gen_ai.operation.name",
        "gen_ai.provider.name",
        "gen_ai.request.model",
        "gen_ai.response.model",
        "server.address",
        "server.port",
    }
)
REQUIRED = {"gen_ai.operation.name", "gen_ai.provider.name"}
CONVENTIONS = {
    "gen_ai.server.request.duration": Convention(
        "s",
        (0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92),
        ATTRIBUTES | {"error.type"},
    ),
    "gen_ai.server.time_per_output_token": Convention(
        "s", (0.01, 0.025, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.75, 1.0, 2.5), ATTRIBUTES
    ),
    "gen_ai.server.time_to_first_token": Convention(
        "s",
        (0.001, 0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0),
        ATTRIBUTES,
    ),
}
OPERATIONS = {"chat", "text_completion"}  # of those that are well known
UNITS = {"s": "seconds"}  # OpenTelemetry's compatibility with Prometheus: a suffix

# What a server has to show: docs/proposals/003-model-server-protocol of the Gateway API Inference Extension. It reads
# one series of each name, so none may have labels. All are gauges, and the use of the cache is a share of 1, as vLLM's.
PROTOCOL = {
    "TotalQueuedRequests": "torchbridge_waiting_requests",
    "TotalRunningRequests": "torchbridge_running_requests",
    "KVCacheUtilization": "torchbridge_kv_cache_usage_ratio",
}


@pytest.fixture(scope="module")
def exposition() -> Iterator[str]:
    """After an answer, a chat and a failure."""
    registry = ModelRegistry(FakeManagement(), None)
    with TestClient(
        create_app(Settings(), inference=FakeInference(), registry=registry), base_url="http://localhost"
    ) as client:
        client.post("/generate", json={"prompt": "Once"}).raise_for_status()
        chat = {"model": "tiny", "messages": [{"role": "user", "content": "Once"}]}
        client.post("/v1/chat/completions", json=chat).raise_for_status()
        assert client.post("/generate", json={"prompt": "Once", "model": "absent"}).status_code == 404
        yield client.get("/metrics").text


@pytest.fixture(scope="module")
def families(exposition: str) -> dict[str, Metric]:
    return {family.name: family for family in text_string_to_metric_families(exposition)}


def prometheus_name(name: str) -> str:
    return name.replace(".", "_")


@pytest.mark.parametrize("name", CONVENTIONS)
def test_a_histogram_of_the_conventions_has_their_name_unit_and_boundaries(
    families: dict[str, Metric], name: str
) -> None:
    convention = CONVENTIONS[name]
    family = families[f"{prometheus_name(name)}_{UNITS[convention.unit]}"]
    assert family.type == "histogram"
    bounds = {float(sample.labels["le"]) for sample in family.samples if sample.name.endswith("_bucket")}
    assert sorted(bounds) == [*convention.boundaries, float("inf")]


@pytest.mark.parametrize("name", CONVENTIONS)
def test_its_labels_are_attributes_of_the_conventions(families: dict[str, Metric], name: str) -> None:
    convention = CONVENTIONS[name]
    family = families[f"{prometheus_name(name)}_{UNITS[convention.unit]}"]
    for sample in family.samples:
        labels = sample.labels.keys() - {"le"}
        assert labels <= set(map(prometheus_name, convention.attributes))
        assert set(map(prometheus_name, REQUIRED)) <= labels
        assert sample.labels["gen_ai_operation_name"] in OPERATIONS


def test_each_help_says_what_the_value_is_in_the_words_of_all_pages(families: dict[str, Metric]) -> None:
    others = [*CanaryMetrics(Canaries()).collect(), *engine_families({})]
    own = [each for each in families.values() if each.name.startswith(("torchbridge_", "gen_ai_"))]
    helps = {each.name: each.documentation for each in [*own, *others] if not each.name.endswith("_created")}
    assert len(helps) > 30
    assert [text for text in helps.values() if not text.endswith(".")] == []
    fragment = re.compile(r"(Of|That|From|Since|By|For|In) ")
    assert [text for text in helps.values() if fragment.match(text)] == []
    assert [text for text in helps.values() if re.search(r"\b(rows?|line)\b", text)] == []  # slots, and the queue


def test_there_are_no_other_names_of_the_conventions(families: dict[str, Metric]) -> None:
    ours = {name for name in families if name.startswith("gen_ai_") and not name.endswith("_created")}
    assert ours == {f"{prometheus_name(name)}_{UNITS[each.unit]}" for name, each in CONVENTIONS.items()}


@pytest.mark.parametrize("name", PROTOCOL.values(), ids=PROTOCOL)
def test_what_an_inference_gateway_reads_is_one_gauge_without_labels(families: dict[str, Metric], name: str) -> None:
    family = families[name]
    assert family.type == "gauge"
    [sample] = family.samples
    assert sample.labels == {}


def test_the_endpoint_picker_is_told_these_names() -> None:
    config = yaml.safe_load((PROJECT / "deploy/inference-gateway/endpoint-picker.yaml").read_text())
    parameters = [plugin["parameters"] for plugin in config["plugins"] if "parameters" in plugin]
    [engine] = parameters[0]["engineConfigs"]
    assert engine == {
        "name": parameters[0]["defaultEngine"],
        "queuedRequestsSpec": PROTOCOL["TotalQueuedRequests"],
        "runningRequestsSpec": PROTOCOL["TotalRunningRequests"],
        "kvUsageSpec": PROTOCOL["KVCacheUtilization"],
    }


def test_promtool_finds_nothing_wrong(exposition: str) -> None:
    program = installed_program("promtool", "prometheus")
    if program is None:
        pytest.skip("there is no promtool, and only root can install it")
    done = subprocess.run(
        [program, "check", "metrics"], input=exposition, capture_output=True, text=True, check=False, timeout=120
    )
    assert done.stdout + done.stderr == ""
