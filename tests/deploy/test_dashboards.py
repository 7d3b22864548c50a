"""Each query of each panel has something to show once a gateway is used, by a real Prometheus."""

import itertools
import json
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from adapter.compilation import Compilation, CompilationState
from adapter.engine_figures import STEP_ROWS, STEP_SECONDS, Distribution, EngineFigures
from adapter.errors import GenerationFailed, UpstreamUnavailable
from adapter.schema import GenerationRequest
from tests.deploy.observed_gateway import ObservedGateway, Script, observed_gateway
from tests.deploy.prometheus import Prometheus, prometheus_program, running_prometheus
from tests.project import PROJECT

DIRECTORY = PROJECT / "deploy" / "grafana"
FILES = sorted(DIRECTORY.glob("*.json"))
DASHBOARDS: dict[str, dict[str, Any]] = {file.stem: json.loads(file.read_text()) for file in FILES}
_VARIABLES = {"$__rate_interval": "10s", "$job": ".*", "$model": ".*"}


def panels(dashboard: dict[str, Any]) -> list[dict[str, Any]]:
    return [panel for panel in dashboard["panels"] if panel["type"] != "row"]


QUERIES = {
    f"{name}: {panel['title']} {target['refId']}": target["expr"]
    for name, dashboard in DASHBOARDS.items()
    for panel in panels(dashboard)
    for target in panel["targets"]
}


def as_grafana_sends_it(query: str) -> str:
    for variable, value in _VARIABLES.items():
        query = query.replace(variable, value)
    assert "$" not in query
    return query


def some_go_wrong(numbers: Iterator[int]) -> Script:
    """One in ten fails, and another one is tried again."""
    number = next(numbers) % 10
    return [GenerationFailed("no")] if number == 0 else [UpstreamUnavailable("gone")] if number == 1 else None


def keep_writing_figures(gateway: ObservedGateway) -> None:
    """As a worker does whose engine makes a step each time."""
    steps = itertools.count(1)

    def distribution(bounds: tuple[float, ...], number: int, value: float) -> Distribution:
        return Distribution(bounds=bounds, counts=(0, number, *[0] * (len(bounds) - 1)), total=number * value)

    def write() -> None:
        number = next(steps)
        EngineFigures(
            step_seconds=distribution(STEP_SECONDS, number, 0.002),
            step_rows=distribution(STEP_ROWS, number, 2),
            prompt_tokens=5 * number,
            prefix_tokens=number,
            answer_tokens=2 * number,
            slots=8,
            running=2,
            waiting=0,
            cache_bytes=10**6,
            resident_bytes=10**8,
        ).write(gateway.directory, "tiny", "1.0")

    gateway.keep_doing(write, pause=0.1)


@pytest.fixture(scope="module")
def prometheus(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Prometheus]:
    if prometheus_program() is None:
        pytest.skip("there is no Prometheus, and only root can install it")
    directory = tmp_path_factory.mktemp("dashboards")
    with observed_gateway(directory / "gateway") as gateway:
        numbers = itertools.count(1)

        def choose(_: GenerationRequest) -> Script:
            return some_go_wrong(numbers)

        gateway.model.choose = choose
        Compilation(state=CompilationState.COMPILED).write(gateway.directory, "tiny", "1.0")
        keep_writing_figures(gateway)
        gateway.begin_canary()
        gateway.keep_asking({}, {"model_version": "1.0", "temperature": 0})
        with running_prometheus(directory, [gateway.target]) as prometheus:
            yield prometheus


@pytest.mark.parametrize("query", QUERIES.values(), ids=QUERIES)
def test_a_query_of_a_panel_has_something_to_show(prometheus: Prometheus, query: str) -> None:
    assert prometheus.wait_for(as_grafana_sends_it(query))


@pytest.mark.parametrize("dashboard", DASHBOARDS.values(), ids=DASHBOARDS)
def test_what_a_dashboard_can_be_narrowed_to_is_there(prometheus: Prometheus, dashboard: dict[str, Any]) -> None:
    variables = {each["name"]: each for each in dashboard["templating"]["list"]}
    assert {"datasource", *(name[1:] for name in _VARIABLES if not name.startswith("$__"))} == variables.keys()
    for each in variables.values():
        if each["type"] == "query":
            [(metric, label)] = re.findall(r"label_values\((\w+), (\w+)\)", each["definition"])
            assert all(series["metric"].get(label) for series in prometheus.wait_for(metric))


@pytest.mark.parametrize("dashboard", DASHBOARDS.values(), ids=DASHBOARDS)
def test_panels_have_places_of_their_own(dashboard: dict[str, Any]) -> None:
    cells: Counter[tuple[int, int]] = Counter()
    for panel in dashboard["panels"]:
        place = panel["gridPos"]
        assert place["x"] + place["w"] <= 24
        cells.update(
            itertools.product(range(place["x"], place["x"] + place["w"]), range(place["y"], place["y"] + place["h"]))
        )
    assert set(cells.values()) == {1}
    assert len({panel["id"] for panel in dashboard["panels"]}) == len(dashboard["panels"])


def test_grafana_is_told_where_they_are() -> None:
    [provider] = yaml.safe_load((DIRECTORY / "provisioning/dashboards/torchbridge.yml").read_text())["providers"]
    grafana = yaml.safe_load((PROJECT / "deploy/compose.yaml").read_text())["services"]["grafana"]
    mounted = dict(volume.split(":")[1::-1] for volume in grafana["volumes"] if volume.startswith("."))
    assert Path(mounted[provider["options"]["path"]]) == Path("grafana")
    assert mounted["/etc/grafana/provisioning"] == "./grafana/provisioning"
