"""Waits for the workers of one version, as a command does that has started or ended them."""

from collections.abc import Callable
from pathlib import Path

from adapter.compilation import Compilation, CompilationState
from adapter.torchserve.loading import LOAD_TIMEOUT_SETTING, NotReady, find_unready, wait_until_ready
from adapter.torchserve.management_client import ManagementClient
from adapter.torchserve.worker_log import WorkerLog
from adapter.versions.errors import LoadFailed


def wait_for_workers(
    management: ManagementClient,
    model: str,
    version: str,
    log: WorkerLog,
    *,
    timeout: float,
    limit: str = LOAD_TIMEOUT_SETTING,
    workers: int | None = None,
) -> None:
    """Returns when as many workers as TorchServe was told, or `workers`, are READY and there is no other.

    `log` is read from before the workers were started. Raises LoadFailed when there is nothing more to wait for, or
    after `timeout` seconds, which `limit` has set.
    """
    try:
        wait_until_ready(
            lambda: find_unready(management, model, version, log, workers), timeout=timeout, see=log.path, limit=limit
        )
    except NotReady as error:
        raise LoadFailed(str(error)) from error


def wait_for_compilation(
    compilations: Path, model: str, version: str, *, timeout: float, report: Callable[[str], None]
) -> None:
    """Returns when the worker of this version, which is ready, takes compiled steps, or says that it will not.

    Neither that nor the end of `timeout` seconds is a failure: both are reported.
    """

    def find_uncompiled() -> str | None:
        compilation = Compilation.read(compilations, model, version)
        return compilation.state if compilation is not None and not compilation.is_settled else None

    limit = "--load-timeout"
    try:
        wait_until_ready(find_uncompiled, timeout=timeout, see=compilations.parent / "logs", limit=limit, report=report)
    except NotReady as error:
        report(f"{error} It is deployed without, and takes them later.")
        return
    match Compilation.read(compilations, model, version):
        case None:
            report("its worker does not compile: the archive is an older one")
        case Compilation(state=CompilationState.NOT_COMPILED, reason=reason):
            report(f"not compiled: {reason}")
