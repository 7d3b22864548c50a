"""A server in memory: TorchServe and the gateway are dictionaries; our record, store and journal are on the disk."""

from collections.abc import Callable, Iterator
from copy import deepcopy
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from shutil import copytree
from tempfile import TemporaryDirectory

import pytest

from adapter.archives.archive import build_archive
from adapter.archives.archive_reader import read_record
from adapter.control.messages import HOLD_SECONDS, ModelTraffic, TrafficReport, VersionTraffic
from adapter.errors import UpstreamProtocol
from adapter.probes import Probe, Probes
from adapter.settings import Settings
from adapter.simulator.management import description
from adapter.torchserve.management_client import ModelDescription
from adapter.versions import deployment
from adapter.versions.changes import record_default, record_version
from adapter.versions.journal import Journal
from adapter.versions.model_store import ModelStore
from adapter.versions.running_server import RunningServer
from adapter.versions.server_files import ServerFiles
from adapter.versions.server_state import ServerState, VersionState
from adapter.versions.verified_copies import install_verified
from tests.adapter.archives.model_files import write_model
from tests.recorded_answer import recorded_failure

_PROBE = Probe(
    prompt="Once",
    prompt_tokens=(1, 2),
    answer="x",
    answer_tokens=(3,),
    finish_reason="length",
    log_probabilities=(0, 0),
)


@cache
def _archive_bytes(model: str, version: str, weight_bytes: int) -> bytes:
    with TemporaryDirectory() as name:
        directory = Path(name)
        files = write_model(directory / "model", weight_bytes=weight_bytes)
        return build_archive(files, model, version, directory, check=lambda *_: Probes(probes=(_PROBE,))).read_bytes()


def make_archive(directory: Path, version: str, model: str = "tiny", *, weight_bytes: int = 24) -> Path:
    """Whole, with a probe; other weights make it another one of the same model and version."""
    directory.mkdir(parents=True, exist_ok=True)
    archive = directory / f"{model}-{version}.mar"
    archive.write_bytes(_archive_bytes(model, version, weight_bytes))
    return archive


@dataclass
class Clock:
    """Stands in for the module `time`: who sleeps makes it later, and makes happen what is due by then."""

    now: float = 1_000.0
    due: list[tuple[float, Callable[[], object]]] = field(default_factory=list)

    def monotonic(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds
        for each in [each for each in self.due if each[0] <= self.now]:
            self.due.remove(each)
            each[1]()

    def after(self, seconds: float, happens: Callable[[], object]) -> None:
        self.due.append((self.now + seconds, happens))


@dataclass
class FakeManagement:
    """As ManagementClient. A version's workers are ready or not; those that it starts are.

    stumbles: it fails once workers have ended, as TorchServe does where one had the request of a caller who has left.
    """

    store: ModelStore
    models: dict[str, dict[str, list[bool]]] = field(default_factory=dict)
    defaults: dict[str, str] = field(default_factory=dict)
    wanted: dict[tuple[str, str], int] = field(default_factory=dict)
    queued: int = 0
    changes: list[tuple[object, ...]] = field(default_factory=list)
    starts_ready: bool = True
    stumbles: bool = False

    def describe(self, name: str) -> list[ModelDescription]:
        return [
            description(
                name, version, are_ready=ready, slots=16, wanted=self.wanted[name, version], num_waiting=self.queued
            )
            for version, ready in self._versions(name).items()
        ]

    def default_version(self, name: str) -> str:
        self._versions(name)
        return self.defaults[name]

    def register(self, archive: str) -> None:
        record = read_record(self.store.path(archive))
        versions = self.models.setdefault(record.name, {})
        if record.version in versions:
            raise recorded_failure("management/register_already_registered")
        self.changes.append(("register", archive))
        self.defaults.setdefault(record.name, record.version)
        versions[record.version] = [self.starts_ready]
        self.wanted[record.name, record.version] = 1

    def set_default(self, name: str, version: str) -> None:
        self._workers(name, version)
        self.changes.append(("set_default", name, version))
        self.defaults[name] = version

    def scale(self, name: str, version: str, workers: int) -> None:
        running = self._workers(name, version)
        self.changes.append(("scale", name, version, workers))
        self.wanted[name, version] = workers
        running[:] = [*running, *[self.starts_ready] * workers][:workers]
        if self.stumbles and not workers:
            raise UpstreamProtocol("a NullPointerException")

    def unregister(self, name: str, version: str) -> None:
        self._workers(name, version)
        if self.defaults[name] == version and len(self.models[name]) > 1:
            raise recorded_failure("management/unregister_default_version")
        self.changes.append(("unregister", name, version))
        del self.models[name][version]
        if not self.models[name]:
            del self.models[name], self.defaults[name]

    def _versions(self, name: str) -> dict[str, list[bool]]:
        if name not in self.models:
            raise recorded_failure("management/model_not_found")
        return self.models[name]

    def _workers(self, name: str, version: str) -> list[bool]:
        if version not in self._versions(name):
            raise recorded_failure("management/version_not_found")
        return self.models[name][version]


@dataclass
class FakeGateway:
    """As ControlClient. live: when each request of a version began, by the clock. known: what it saw of TorchServe."""

    management: FakeManagement
    clock: Clock
    live: dict[tuple[str, str], list[float]] = field(default_factory=dict)
    held_requests: int = 0
    seconds_to_answer: float = 0
    calls: list[str] = field(default_factory=list)
    held_until: dict[tuple[str, str], float] = field(default_factory=dict)
    default_model: str | None = None
    known: TrafficReport | None = None

    def set_default_model(self, model: str) -> None:
        self.management.default_version(model)
        self.default_model = model

    def traffic(self) -> TrafficReport:
        self.calls.append("traffic")
        report = TrafficReport(models=tuple(self._models()), default_model=self.default_model)
        self.clock.sleep(self.seconds_to_answer)
        self.known = report
        return report

    def known_workers(self, model: str, version: str) -> int | None:
        """That are ready; None of a version that it has not seen."""
        traffic = None if self.known is None else self.known.of(model, version)
        return None if traffic is None else traffic.ready_workers

    def hold(self, model: str, version: str) -> None:
        self.calls.append("hold")
        self.held_until[model, version] = self.clock.now + HOLD_SECONDS

    def release(self, model: str, version: str) -> None:
        self.calls.append("release")
        self.held_until.pop((model, version), None)

    def is_held(self, model: str, version: str) -> bool:
        return self.held_until.get((model, version), 0) > self.clock.now

    def _models(self) -> Iterator[ModelTraffic]:
        for name, versions in self.management.models.items():
            default = self.management.defaults[name]
            reported = tuple(self._version(name, version, is_default=version == default) for version in versions)
            yield ModelTraffic(name=name, default_version=default, versions=reported, canary=None)

    def _version(self, name: str, version: str, *, is_default: bool) -> VersionTraffic:
        began = self.live.get((name, version), [])
        return VersionTraffic(
            version=version,
            is_default=is_default,
            workers=self.management.wanted[name, version],
            ready_workers=sum(self.management.models[name][version]),
            live_requests=len(began),
            oldest_live_seconds=self.clock.now - min(began) if began else None,
            waiting_requests=0,
            running_requests=len(began),
            held_requests=self.held_requests,
            queued_in_torchserve=self.management.queued,
        )


class FakeServer(RunningServer):
    def __init__(self, directory: Path, clock: Clock) -> None:
        self.files = ServerFiles(directory)
        self.settings = Settings()
        self.files.store.mkdir(parents=True)
        self.worker_log = directory / "model_log.log"
        self.store = ModelStore(self.files.store)
        self.journal = Journal(self.files.journal)
        self.management = FakeManagement(self.store)
        self.gateway = FakeGateway(self.management, clock)
        self.save(ServerState())

    def serve(self, *versions: str, model: str = "tiny") -> None:
        """Deploys them beside each other; the last one is the default, those before it are the previous ones."""
        for version in versions:
            deployed = self.put_into_store(version, model)
            self.management.register(deployed.archive)
            record_version(self, model, version, deployed)
            self.management.set_default(model, version)
            record_default(self, model, version, deployed)
        self.management.changes.clear()

    def copied(self, directory: Path) -> "FakeServer":
        """Another one that serves the same."""
        copy = FakeServer(directory, self.gateway.clock)
        copytree(self.files.run_directory, directory, dirs_exist_ok=True)
        for name in ("models", "defaults", "wanted"):
            setattr(copy.management, name, deepcopy(getattr(self.management, name)))
        return copy

    def put_into_store(self, version: str, model: str = "tiny") -> VersionState:
        return install_verified(self.store, make_archive(self.files.store, version, model), None)[1]

    def registered(self, model: str = "tiny") -> list[str]:
        return sorted(self.management.models.get(model, {}))

    def recorded(self, model: str = "tiny") -> list[str]:
        known = self.state.models.get(model)
        return sorted(known.versions) if known else []

    def stored(self) -> list[str]:
        return sorted(path.name for path in self.files.store.iterdir())


class Lines(list[str]):
    def __call__(self, line: str) -> None:
        self.append(line)


def let_versions_answer_as_recorded(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is asked of a version before it is the default: here no model is there to be asked."""

    async def answer_as_recorded(*_: object) -> None:
        pass

    monkeypatch.setattr(deployment, "_ask", answer_as_recorded)
