"""The one wait for workers: for READY by a description, the only sign of one that answers (/ping is not)."""

import time
from collections.abc import Callable
from pathlib import Path

from adapter.errors import ModelNotFound
from adapter.torchserve.management_client import ManagementClient, ModelDescription
from adapter.torchserve.worker_log import WorkerLog

LOAD_TIMEOUT_SETTING = "TORCHBRIDGE_LOAD_TIMEOUT"

_SECONDS_BETWEEN_LOOKS = 0.25


class NotReady(RuntimeError):
    """There is nothing more to wait for, or it takes longer than the limit; the message says which."""


class NotRegistered(NotReady):
    """TorchServe does not have the version."""

    def __init__(self, model: str, version: str) -> None:
        super().__init__(f"TorchServe does not have {model} {version} any more. Was it restarted?")
        self.model = model


def wait_until_ready(
    look: Callable[[], str | None],
    *,
    timeout: float,
    see: Path,
    limit: str = LOAD_TIMEOUT_SETTING,
    report: Callable[[str], None] = lambda _: None,
) -> None:
    """Returns when `look` finds nothing to wait for. Otherwise it says what is missing, and `report` is told of it.

    Raises what `look` raises, or NotReady after `timeout` seconds: the message names what sets them, `limit`, and the
    log to `see`.
    """
    deadline = time.monotonic() + timeout
    reported = None
    while (stage := look()) is not None:
        if stage != reported:
            report(stage)
            reported = stage
        if time.monotonic() >= deadline:
            raise NotReady(f"Still {stage} after {timeout:g} s ({limit}). See {see}.")
        time.sleep(_SECONDS_BETWEEN_LOOKS)


def find_unready(
    management: ManagementClient, model: str, version: str, log: WorkerLog, workers: int | None = None
) -> str | None:
    """What a version waits for: None when as many workers as TorchServe was told, or `workers`, are READY and no other.

    `log` is read from before the workers were started. Raises NotReady when they have given up, NotRegistered where
    there is no such version, or what the management API answers.
    """
    description = describe_version(management, model, version)
    if description is None:
        raise NotRegistered(model, version)
    wanted = description.min_workers if workers is None else workers
    if description.ready_workers == len(description.workers) == wanted:
        return None
    log.read()
    if (failure := log.failure(description.startup_timeout)) is not None:
        raise NotReady(failure)
    if not wanted:
        return f"unloading {model} {version}"
    reason = log.reason(description.startup_timeout)
    return f"loading {model} {version}" + (f" again ({reason})" if reason else "")


def describe_version(management: ManagementClient, model: str, version: str) -> ModelDescription | None:
    return describe_versions(management, model).get(version)


def describe_versions(management: ManagementClient, model: str) -> dict[str, ModelDescription]:
    """The versions of a model; none if it is not there."""
    try:
        return {description.model_version: description for description in management.describe(model)}
    except ModelNotFound:
        return {}
