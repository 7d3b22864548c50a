"""A failure that can be expected is one line on the standard error, and an exit code."""

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import typer

EXIT_BUSY, EXIT_DISK_FULL = 5, 6  # docs/command-line.md

# Named with their modules: one that is not imported has raised nothing, and to import all of them takes a second.
EXPECTED = (
    "adapter.archives.archive_reader:ArchiveError",
    "adapter.archives.model_config:ModelConfigError",
    "adapter.archives.model_source:ModelSourceError",
    "adapter.archives.signing_keys:SigningKeyError",
    "adapter.archives.verification:VerificationError",
    "adapter.archives.worker_environment:EnvironmentRefused",
    "adapter.artifacts.errors:ArtifactError",
    "adapter.control.client:GatewayNotRunning",
    "adapter.durable.private_directory:NotPrivate",
    "adapter.errors:TorchbridgeError",
    "adapter.generation.rate_limit:RateLimitError",
    "adapter.http.api_keys:ApiKeysError",
    "adapter.http.route_path:RootPathTaken",
    "adapter.rollout.errors:RolloutError",
    "adapter.serving.tls:TlsError",
    "adapter.settings:UnknownVariable",
    "adapter.simulator.script:ScriptError",
    "adapter.torchserve.probing:ProbeMismatch",
    "adapter.torchserve.properties:PropertiesError",
    "adapter.torchserve.server_process:StartFailed",
    "adapter.tracing.errors:TracingError",
    "adapter.validation.settings_file:SettingsError",
    "adapter.versions.errors:VersionError",
)


@contextmanager
def failures_in_one_line(*, as_json: bool = False) -> Iterator[None]:
    """Prints an expected failure as one line, or with `as_json` as an object. A second line says how a change ended."""
    try:
        yield
    except Exception as error:
        if not _is_expected(error):
            raise
        code = _exit_code(error)
        complain(_reason(error), error, exit_code=code if as_json else None)
        sys.exit(code)


def complain(reason: str, error: BaseException, *, exit_code: int | None = None) -> None:
    """Prints a failure in words, or with an exit code as the JSON of docs/command-line.md."""
    notes = list(getattr(error, "__notes__", ()))
    lines = [f"torchbridge: {line}" for line in (reason, *notes)]
    if exit_code is not None:
        lines = [json.dumps({"error": reason, "notes": notes, "exit_code": exit_code})]
    with suppress(OSError):  # the reader, or the terminal, is gone
        for line in lines:
            typer.echo(line, err=True)


def _is_expected(error: Exception) -> bool:
    return isinstance(error, OSError) or any(_is_one(error, each) for each in EXPECTED)


def _is_one(error: Exception, name: str) -> bool:
    module, _, kind = name.partition(":")
    return module in sys.modules and isinstance(error, getattr(sys.modules[module], kind))


def _exit_code(error: Exception) -> int:
    if _is_one(error, "adapter.versions.errors:ServerBusy"):
        return EXIT_BUSY
    if isinstance(error, OSError):
        from adapter.durable.disk_space import is_full_disk  # noqa: PLC0415 - a help has no use for it

        return EXIT_DISK_FULL if is_full_disk(error) else 1
    return 1


def _reason(error: Exception) -> str:
    if _is_one(error, "adapter.errors:TorchbridgeError"):
        return str(error.with_cause)  # type: ignore[attr-defined]
    if isinstance(error, OSError) and error.filename is not None and error.filename2 is None:
        return f"{error.filename}: {error.strerror}"
    return str(error)
