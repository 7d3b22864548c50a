"""A new version, from an archive to the default: nothing changes for anybody until it has shown that it answers."""

import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

from adapter.archives.archive_reader import read_probes
from adapter.archives.record import ArchiveRecord
from adapter.archives.verification import VerifiedArchive, verify_archive
from adapter.compilation import Compilation
from adapter.durable.disk_space import expect_space
from adapter.errors import UpstreamProtocol
from adapter.process.stop_signals import postponed_stop, run_until_stopped
from adapter.settings import LOAD_TIMEOUT
from adapter.torchserve.inference_client import InferenceClient
from adapter.torchserve.model_registry import ModelRegistry
from adapter.torchserve.probing import probe, warm_up
from adapter.versions.changes import (
    Report,
    expect_ready,
    is_registered,
    record_default,
    record_version,
    switch,
    wait_until_left,
)
from adapter.versions.errors import ChangeRefused, DrainTimeout
from adapter.versions.journal import Operation, Step
from adapter.versions.lifecycle import take_away
from adapter.versions.required_key import required_key
from adapter.versions.running_server import RunningServer
from adapter.versions.settling import under_way
from adapter.versions.verified_copies import add_signatures, expect_verified
from adapter.versions.version_waits import wait_for_compilation, wait_for_workers

_LOG_BYTES = 2**20  # of a version's start, and of the journal

Begin: TypeAlias = Callable[[Step], None]


@dataclass(frozen=True)
class DeploymentOptions:
    """
    key: the public key of who may sign archives; without one the server's own key, if it was started with one; without
        any, an archive's code must be this installation's.
    promotes: whether the version becomes the default.
    keep: how many earlier default versions stay loaded for a rollback.
    load_timeout, drain_timeout: seconds.
    waits_for_compilation: until its steps are compiled, or cannot be; no longer than another load_timeout.
    """

    key: Path | None = None
    promotes: bool = True
    keep: int = 2
    load_timeout: float = LOAD_TIMEOUT
    drain_timeout: float = 600
    waits_for_compilation: bool = False


def deploy(server: RunningServer, source: Path, options: DeploymentOptions, report: Report) -> ArchiveRecord:
    """Returns when the version answers, is the default and nothing runs on the one before. Hold the server's lock.

    `source` is verified first, also where its version is deployed already. A deployment that fails before the switch
    leaves nothing behind. Raises VersionError, VerificationError, ProbeMismatch, OSError or one of adapter.errors.
    """
    server.gateway.traffic()  # fails early: a gateway that it cannot reach it cannot switch over
    report(f"verifying {source}")
    verified = verify_archive(source, required_key(server.files, options.key), any_name=True)
    record = verified.record
    _refuse_other_content(server, record)
    _refuse_other_identity(server, record)
    operation = Operation(
        kind="deploy",
        model=record.name,
        version=record.version,
        archive=record.file_name,
        digest=record.digest,
        sha256=verified.sha256,
        promotes=options.promotes,
        keep=options.keep,
    )
    if is_registered(server, record.name, record.version):
        report(f"{record.name} {record.version} is already deployed")
        _add_signatures(server, source, verified, options.key, report)
        if options.promotes and server.state.models[record.name].default != record.version:
            expect_ready(server, record.name, record.version)
            with under_way(server, operation) as step:
                _promote(server, operation, step, report, options.drain_timeout)
            _retire_surplus(server, operation, report, options.drain_timeout)
        return record
    _expect_space(server, record, source.stat().st_size)
    with under_way(server, operation) as step:
        _bring_up(server, operation, step, source, record=record, options=options, report=report)
        if operation.promotes:
            _promote(server, operation, step, report, options.drain_timeout)
        else:
            step(Step.RECORD)
            record_version(server, record.name, record.version, operation.deployed)
            server.gateway.traffic()  # from here on the gateway knows that it is there
    if operation.promotes:
        _retire_surplus(server, operation, report, options.drain_timeout)
    return record


def _promote(server: RunningServer, operation: Operation, step: Begin, report: Report, drain_timeout: float) -> None:
    model, version = operation.model, operation.version
    before = server.state.models.get(model)
    step(Step.PROMOTE)
    report(f"making {version} the default version of {model}")
    with postponed_stop():
        switch(server, model, version)
        switched_at = time.monotonic()
        step(Step.RECORD)
        record_default(server, model, version, operation.deployed)
    if before is not None and before.default != version:
        step(Step.DRAIN)
        report(f"waiting for what runs on {before.default}")
        if not wait_until_left(server, model, before.default, switched_at, drain_timeout):
            report(f"requests still run on {before.default} after {drain_timeout:g} seconds: they go on")


def _bring_up(
    server: RunningServer,
    operation: Operation,
    step: Begin,
    source: Path,
    *,
    record: ArchiveRecord,
    options: DeploymentOptions,
    report: Report,
) -> None:
    model, version, archive = operation.model, operation.version, operation.archive_file
    step(Step.COPY)
    report(f"copying {source}")
    staged = server.store.stage(source, archive)
    step(Step.VERIFY)
    report("comparing the copy with what was verified")
    expect_verified(staged, operation.deployed.sha256)
    probes = read_probes(staged)
    if probes is None or not probes.probes:
        raise ChangeRefused(f"{source} holds no probes to check the version with: torchbridge pack records them.")
    server.store.install(staged)
    step(Step.REGISTER)
    report(f"registering {archive}")
    log = server.log_of(model, version)
    Compilation.forget(server.files.compilations, model, version)
    with postponed_stop():  # a stop in here could not undo what TorchServe goes on to unpack and register
        _register(server, archive, record)
    step(Step.LOAD)
    report(f"loading {model} {version}")
    wait_for_workers(server.management, model, version, log, timeout=options.load_timeout, limit="--load-timeout")
    if options.waits_for_compilation:
        compilations = server.files.compilations
        wait_for_compilation(compilations, model, version, timeout=options.load_timeout, report=report)
    step(Step.WARM_UP)
    report("warming up")
    run_until_stopped(lambda: _ask(server, lambda inference: warm_up(inference, model, version, probes)))
    step(Step.PROBE)
    report(f"comparing {len(probes.probes)} answers with those recorded when it was packed")
    run_until_stopped(lambda: _ask(server, lambda inference: probe(inference, model, version, probes)))


def _add_signatures(
    server: RunningServer, source: Path, verified: VerifiedArchive, key: Path | None, report: Report
) -> None:
    deployed = server.state.models[verified.record.name].versions[verified.record.version]
    if deployed.sha256 == verified.sha256:
        for path in add_signatures(server.store, source, deployed, required_key(server.files, key)):
            report(f"its signature is new in the store: {path.name}")


def _expect_space(server: RunningServer, record: ArchiveRecord, archive_size: int) -> None:
    expect_space(
        f"{record.name} {record.version}",
        (server.files.run_directory, _LOG_BYTES),
        (server.files.store, archive_size),
        (server.files.unpacked, record.unpacked_size),
    )


def _register(server: RunningServer, archive: str, record: ArchiveRecord) -> None:
    """Raises DiskFull where TorchServe has no space to unpack it: it says only that it "failed to save" the model."""
    try:
        server.management.register(archive)
    except UpstreamProtocol:
        expect_space(f"{record.name} {record.version}", (server.files.unpacked, record.unpacked_size))
        raise


def _refuse_other_content(server: RunningServer, record: ArchiveRecord) -> None:
    """One version, one content: what is cached, recorded or reported of it stays true."""
    known = server.state.models.get(record.name)
    deployed = known.versions.get(record.version) if known else None
    if deployed is None:
        if is_registered(server, record.name, record.version):
            raise ChangeRefused(f"TorchServe has a {record.name} {record.version} that torchbridge did not deploy.")
    elif deployed.digest != record.digest:
        raise ChangeRefused(
            f"{record.name} {record.version} is deployed with another content ({deployed.digest[:12]}, and not "
            f"{record.digest[:12]}): choose another version."
        )


def _refuse_other_identity(server: RunningServer, record: ArchiveRecord) -> None:
    # a-1 of version 2 and a of version 1-2 have the same file name.
    for name, model in server.state.models.items():
        for version, deployed in model.versions.items():
            is_another = (name, version) != (record.name, record.version)
            if is_another and deployed.archive == record.file_name:
                raise ChangeRefused(f"{deployed.archive} is the file of {name} {version} here: choose another version.")


def _retire_surplus(server: RunningServer, operation: Operation, report: Report, drain_timeout: float) -> None:
    if operation.keep is None:
        return
    state = server.state.models[operation.model]
    for version in state.previous[operation.keep :]:
        report(f"retiring {version}")
        try:
            take_away(server, operation.model, version, state.versions[version].archive, drain_timeout)
        except DrainTimeout as error:
            report(str(error))


async def _ask(server: RunningServer, ask: Callable[[InferenceClient], Awaitable[None]]) -> None:
    """Asks past the gateway: the version is not for its callers yet, and a cached answer proves nothing."""
    registry = ModelRegistry(server.management, None)
    async with InferenceClient(server.settings, server.keys, registry.resolve_anew) as inference:
        await ask(inference)
