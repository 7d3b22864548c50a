"""Waits for the workers of one version: for READY by a description, the only sign of one that answers."""

import time

from adapter.errors import ModelNotFound
from adapter.torchserve.management_client import ManagementClient, ModelDescription
from adapter.torchserve.worker_log import WorkerLog
from adapter.versions.errors import LoadFailed

_SECONDS_BETWEEN_LOOKS = 0.25


def describe_version(management: ManagementClient, model: str, version: str) -> ModelDescription | None:
    return describe_versions(management, model).get(version)


def describe_versions(management: ManagementClient, model: str) -> dict[str, ModelDescription]:
    """Of a model that is not there: nothing."""
    try:
        return {description.model_version: description for description in management.describe(model)}
    except ModelNotFound:
        return {}


def wait_until_ready(
    management: ManagementClient,
    model: str,
    version: str,
    log: WorkerLog,
    *,
    timeout: float,
    workers: int | None = None,
) -> None:
    """Returns when as many workers as TorchServe was told, or `workers`, are READY and there is no other.

    `log` is read from before the workers were started. Raises LoadFailed when there is nothing more to wait for, or
    after `timeout` seconds.
    """
    deadline = time.monotonic() + timeout
    while True:
        description = describe_version(management, model, version)
        if description is None:
            raise LoadFailed(f"TorchServe does not have {model} {version} any more. Was it restarted?")
        wanted = description.min_workers if workers is None else workers
        if description.ready_workers == len(description.workers) == wanted:
            return
        log.read()
        if log.failure is not None:
            raise LoadFailed(log.failure)
        if time.monotonic() >= deadline:
            raise LoadFailed(f"{model} {version} is not ready after {timeout:g} seconds. See {log.path}.")
        time.sleep(_SECONDS_BETWEEN_LOOKS)
