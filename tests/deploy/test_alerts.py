"""When each alert is told: after its time by promtool, and by a real Prometheus of gateways that are made to fail."""

import os
import re
import subprocess
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from resource import RLIMIT_NOFILE, getrlimit, setrlimit
from typing import Any

import pytest
import yaml

from adapter.compilation import Compilation, CompilationState
from adapter.errors import GenerationFailed, UpstreamUnavailable
from adapter.schema import GenerationRequest
from tests.deploy.alert_series import FAULTS, WELL
from tests.deploy.observed_gateway import ObservedGateway, Script, observed_gateway
from tests.deploy.prometheus import RULES, Prometheus, prometheus_program, rules, running_prometheus
from tests.free_ports import free_port
from tests.project import PROJECT

ALERTS: dict[str, dict[str, Any]] = {rule["alert"]: rule for rule in rules()}
PAGE = (PROJECT / "docs" / "metrics.md").read_text()
TAKES_LONG = {"TorchbridgeLongWait": "torchbridge_longest_wait_seconds > 1"}  # half a minute: promtool has that part

pytestmark = pytest.mark.skipif(
    prometheus_program() is None, reason="there is no Prometheus, and only root can install it"
)


def test_each_alert_has_series_of_its_fault() -> None:
    assert FAULTS.keys() == ALERTS.keys()


@pytest.mark.parametrize("rule", ALERTS.values(), ids=ALERTS)
def test_an_alert_says_what_to_do(rule: dict[str, Any]) -> None:
    assert rule["labels"]["severity"] in {"critical", "warning", "info"}
    page, _, anchor = rule["annotations"]["runbook"].partition("#")
    assert page == "docs/metrics.md"
    assert anchor in {heading.lower() for heading in re.findall(r"^### (\w+)$", PAGE, re.MULTILINE)}


def num_firing(alert: str, minute: int, count: int | None) -> dict[str, Any]:
    """What promtool is to find; None for no series at all."""
    expression = f'count(ALERTS{{alertname="{alert}",alertstate="firing"}})'
    samples = [] if count is None else [{"labels": "{}", "value": count}]
    return {"expr": expression, "eval_time": f"{minute}m", "exp_samples": samples}


def promtool_says(directory: Path, series: dict[str, str], expected: list[dict[str, Any]]) -> str:
    """What promtool says."""
    inputs = [{"series": name, "values": values} for name, values in series.items()]
    test = {"interval": "1m", "input_series": inputs, "promql_expr_test": expected}
    file = directory / "alerts.test.yml"
    file.write_text(yaml.safe_dump({"rule_files": [str(RULES)], "evaluation_interval": "1m", "tests": [test]}))
    program = prometheus_program("promtool")
    assert program is not None
    done = subprocess.run(
        [program, "test", "rules", str(file)], capture_output=True, text=True, check=False, timeout=120
    )
    return done.stdout + done.stderr if done.returncode else "SUCCESS"


@pytest.mark.parametrize("alert", FAULTS)
def test_an_alert_waits_for_its_time_and_is_told_then(alert: str, tmp_path: Path) -> None:
    fault = FAULTS[alert]
    early, late = fault.minutes
    expected = [num_firing(alert, early, None), num_firing(alert, late, 1)]
    assert promtool_says(tmp_path, fault.series, expected) == "SUCCESS"


def test_a_gateway_that_is_well_has_no_alert(tmp_path: Path) -> None:
    expected = [num_firing(alert, minute, None) for alert in ALERTS for minute in (1, 15, 30, 59)]
    assert promtool_says(tmp_path, WELL, expected) == "SUCCESS"


def hang(gateway: ObservedGateway) -> None:
    """One request runs, one waits, the others are refused."""
    gateway.model.before = gateway.model.hang
    for _ in range(3):
        gateway.keep_asking({})


def fail(gateway: ObservedGateway) -> None:
    def choose(_: GenerationRequest) -> Script:
        return [GenerationFailed("no")]

    gateway.model.choose = choose
    gateway.keep_asking({})


def slow_down(gateway: ObservedGateway) -> None:
    """After a first answer, as an increase is one over something."""
    gateway.ask().raise_for_status()
    gateway.model.before = gateway.model.think
    gateway.keep_asking({})


def crash_the_worker_again_and_again(gateway: ObservedGateway) -> None:
    def start_another() -> None:
        gateway.management.process += 1

    gateway.keep_doing(start_another, pause=1)


def lose_the_worker(gateway: ObservedGateway) -> None:
    gateway.management.restarting = {"1.0"}


def lose_torchserve(gateway: ObservedGateway) -> None:
    gateway.management.failure = UpstreamUnavailable("gone")


def try_a_version_that_fails(gateway: ObservedGateway) -> None:
    def choose(request: GenerationRequest) -> Script:
        return [GenerationFailed("no")] if request.model_version == "2.0" else None

    gateway.model.choose = choose
    gateway.begin_canary()
    gateway.keep_asking({})


def be_without_a_compiler(gateway: ObservedGateway) -> None:
    Compilation(state=CompilationState.NOT_COMPILED, reason="no compiler").write(gateway.directory, "tiny", "1.0")


def be_well(gateway: ObservedGateway) -> None:
    Compilation(state=CompilationState.COMPILED).write(gateway.directory, "tiny", "1.0")
    gateway.keep_asking({})


MADE: dict[Callable[[ObservedGateway], None], set[str]] = {
    hang: {"TorchbridgeStalled", "TorchbridgeRefusing", "TorchbridgeSaturated", "TorchbridgeLongWait"},
    fail: {"TorchbridgeFailures"},
    slow_down: {"TorchbridgeSlowFirstToken"},
    crash_the_worker_again_and_again: {"TorchbridgeWorkerRestarts"},
    lose_the_worker: {"TorchbridgeNoWorker"},
    lose_torchserve: {"TorchbridgeTorchServeDown"},
    try_a_version_that_fails: {"TorchbridgeCanaryFails"},
    be_without_a_compiler: {"TorchbridgeNotCompiled"},
    be_well: set(),
}
OF_THIS_MACHINE = {"TorchbridgeDown", "TorchbridgeFewDescriptors"}
EXPECTED = [(make, alert) for make, alerts in MADE.items() for alert in sorted(alerts)]


class Gateways:
    """One for each fault, and one address at which there is none."""

    def __init__(self, directory: Path, stack: ExitStack) -> None:
        self.absent = f"127.0.0.1:{free_port()}"
        self.targets: dict[Callable[[ObservedGateway], None], str] = {}
        for make in MADE:
            gateway = stack.enter_context(
                # A version of two that is idle has half of the slots.
                observed_gateway(directory / make.__name__, slots=1, max_waiting_requests=1, versions=("1.0",))
                if make is hang
                else observed_gateway(directory / make.__name__)
            )
            make(gateway)
            self.targets[make] = gateway.target
        targets = [*self.targets.values(), self.absent]
        self.prometheus: Prometheus = stack.enter_context(running_prometheus(directory, targets))

    def wait_for(self, alert: str, target: str) -> None:
        """Until it is pending or told."""
        self.prometheus.wait_for(TAKES_LONG.get(alert) or f'ALERTS{{alertname="{alert}",{_labels_of(alert, target)}}}')

    def alerts_of(self, target: str) -> set[str]:
        found = self.prometheus.query(f'ALERTS{{instance="{target}"}}')
        return {each["metric"]["alertname"] for each in found}


def _labels_of(alert: str, target: str) -> str:
    """Some are of a model or a service, and not of one gateway."""
    is_of_one = not re.search(r"\bby \(job, gen_ai_response_model", ALERTS[alert]["expr"])
    return f'instance="{target}"' if is_of_one else ""


@pytest.fixture(scope="module")
def gateways(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateways]:
    with ExitStack() as stack:
        yield Gateways(tmp_path_factory.mktemp("alerts"), stack)


def test_each_alert_has_a_fault_that_is_made() -> None:
    assert set().union(*MADE.values()) | OF_THIS_MACHINE == ALERTS.keys()


@pytest.mark.parametrize(("make", "alert"), EXPECTED, ids=[alert for _, alert in EXPECTED])
def test_a_fault_that_is_made_is_told(gateways: Gateways, make: Callable[[ObservedGateway], None], alert: str) -> None:
    gateways.wait_for(alert, gateways.targets[make])


def test_a_gateway_that_is_not_there_is_told_of(gateways: Gateways) -> None:
    gateways.wait_for("TorchbridgeDown", gateways.absent)


def test_nothing_is_told_of_a_gateway_that_is_well(gateways: Gateways) -> None:
    well = gateways.targets[be_well]
    gateways.prometheus.wait_for(f'rate(torchbridge_answers_total{{instance="{well}"}}[5m]) > 0')
    assert gateways.alerts_of(well) == set()


@contextmanager
def few_descriptors() -> Iterator[None]:
    limits = getrlimit(RLIMIT_NOFILE)
    num_open = len(list(Path("/proc/self/fd").iterdir()))
    most = max(400, num_open + 30)
    setrlimit(RLIMIT_NOFILE, (most, limits[1]))
    opened = [os.open(os.devnull, os.O_RDONLY) for _ in range(int(0.93 * most) - num_open)]
    try:
        yield
    finally:
        for each in opened:
            os.close(each)
        setrlimit(RLIMIT_NOFILE, limits)


def test_a_gateway_with_few_descriptors_left_is_told_of(gateways: Gateways) -> None:
    with few_descriptors():
        gateways.wait_for("TorchbridgeFewDescriptors", gateways.targets[be_well])
