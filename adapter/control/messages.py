"""What the command line asks of a running gateway, and hears: over a socket that only the gateway's user can open."""

from pathlib import Path

from pydantic import Field

from adapter.schema import Name, Received, Sent

SOCKET_NAME = "control.sock"
HOLD_SECONDS = 10.0  # unless it is renewed


def control_socket(run_directory: Path) -> Path:
    return run_directory.resolve() / SOCKET_NAME


class VersionTraffic(Sent):
    version: str
    is_default: bool
    ready_workers: int
    live_requests: int = Field(description="That mean this version, whether they wait, run or are read from the cache.")
    oldest_live_seconds: float | None = Field(description="Since the oldest of them came to mean this version.")
    waiting_requests: int = Field(description="For a slot.")
    running_requests: int = Field(description="In the worker.")
    held_requests: int = Field(description="That are not let through while the version is drained.")


class ModelTraffic(Sent):
    name: str
    default_version: str
    versions: tuple[VersionTraffic, ...]


class TrafficReport(Sent):
    """As seen after it was asked for: a request that comes later is not given to another default version."""

    models: tuple[ModelTraffic, ...]

    def of(self, model: str, version: str) -> VersionTraffic | None:
        for reported in self.models:
            if reported.name == model:
                return next((each for each in reported.versions if each.version == version), None)
        return None

    def default_version(self, model: str) -> str | None:
        return next((each.default_version for each in self.models if each.name == model), None)


class HoldRequest(Received):
    model: Name
    version: Name
    is_held: bool
