"""The command `torchbridge`: each command parses, calls the library and prints."""

import json
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Annotated, Self

import typer
from pydantic import ValidationError
from rich.console import Console

from adapter.archive_commands import commands
from adapter.archives.archive_reader import ArchiveError
from adapter.archives.model_config import ModelConfigError
from adapter.archives.model_source import ModelSourceError
from adapter.archives.signing_keys import SigningKeyError
from adapter.archives.verification import VerificationError
from adapter.archives.worker_environment import EnvironmentRefused
from adapter.artifact_commands import artifact_commands
from adapter.artifacts.errors import ArtifactError
from adapter.background_output import background_output, say
from adapter.canary_commands import canary_commands
from adapter.control.client import GatewayNotRunning
from adapter.disk_space import DiskFull, is_full_disk
from adapter.doctor.command import doctor_commands
from adapter.errors import TorchbridgeError
from adapter.generation.rate_limit import RateLimitError
from adapter.http.api_keys import ApiKeysError
from adapter.http.route_path import RootPathTaken
from adapter.installed_versions import installed_versions
from adapter.log_lines.gateway_log import log_lines
from adapter.logs.command import logs_commands
from adapter.serve import RunningStack, running_stack
from adapter.settings import UnknownVariable
from adapter.settings_file import SettingsFileError
from adapter.simulator.command import simulate_commands
from adapter.simulator.script import ScriptError
from adapter.stop_signals import Stopped, stop_signals
from adapter.talk_commands import talk_commands
from adapter.tls import TlsError
from adapter.top.command import top_commands
from adapter.torchserve.private_directory import NotPrivate
from adapter.torchserve.probing import ProbeMismatch
from adapter.torchserve.properties import PropertiesError
from adapter.torchserve.sample_answer import SAMPLE_PROMPT
from adapter.torchserve.server_process import CONFIG_FILE, DEFAULT_RUN_DIRECTORY, StartFailed
from adapter.tracing.errors import TracingError
from adapter.version_commands import RunDirectoryOption, version_commands
from adapter.versions.desired_state import DesiredState
from adapter.versions.errors import ServerBusy, VersionError

_EXPECTED = (
    ApiKeysError,
    ArchiveError,
    ArtifactError,
    EnvironmentRefused,
    GatewayNotRunning,
    ModelConfigError,
    ModelSourceError,
    NotPrivate,
    OSError,
    PropertiesError,
    ProbeMismatch,
    RateLimitError,
    RootPathTaken,
    ScriptError,
    SettingsFileError,
    SigningKeyError,
    StartFailed,
    TlsError,
    TorchbridgeError,
    TracingError,
    UnknownVariable,
    ValidationError,  # of the settings
    VerificationError,
    VersionError,
)

_OPEN_TO_ALL = (
    "torchbridge: warning: other machines can reach this address, and no API key is asked for: whoever does can have "
    "text generated and take all slots from others. Set TORCHBRIDGE_API_KEYS, or listen on 127.0.0.1."
)

EXIT_BUSY, EXIT_DISK_FULL = 5, 6  # docs/versions.md

# Tracebacks with local variables could show keys.
app = typer.Typer(pretty_exceptions_enable=False, no_args_is_help=True, add_completion=False)
app.add_typer(commands)
app.add_typer(artifact_commands)
app.add_typer(version_commands)
app.add_typer(canary_commands, name="canary")
app.add_typer(talk_commands)
app.add_typer(doctor_commands)
app.add_typer(top_commands)
app.add_typer(logs_commands)
app.add_typer(simulate_commands)


def _print_versions(*, is_asked_for: bool) -> None:
    if is_asked_for:
        for package, version in installed_versions().items():
            say(f"{package} {version}")
        raise typer.Exit


@app.callback()
def torchbridge(
    *,
    version: Annotated[
        bool,
        typer.Option(
            "--version",
            callback=lambda is_asked_for: _print_versions(is_asked_for=is_asked_for),
            is_eager=True,
            help="Show this version and those of torch, transformers, TorchServe and Python.",
        ),
    ] = False,
) -> None:
    """Packs a PyTorch language model into a TorchServe archive and serves it with one typed API."""


@app.command()
def serve(
    *,
    host: Annotated[str | None, typer.Option(help="The gateway's address; else TORCHBRIDGE_HOST or loopback.")] = None,
    port: Annotated[
        int | None, typer.Option(min=0, max=65_535, help="The gateway's port; else TORCHBRIDGE_PORT or 8000.")
    ] = None,
    model: Annotated[
        str | None,
        typer.Option(
            help="A packed archive (.mar, or oci://… in a registry), a directory, a hub id or a GGUF file; else the "
            "versions that were deployed last, if any, or models/tiny."
        ),
    ] = None,
    models: Annotated[
        Path | None, typer.Option(metavar="models.yaml", help="Serve the versions that this file names, instead.")
    ] = None,
    key: Annotated[
        Path | None,
        typer.Option(
            metavar="PUB", help="Load only what is signed with this public key: now, by later commands, after a crash."
        ),
    ] = None,
    compile_: Annotated[
        bool | None,
        typer.Option(
            "--compile/--no-compile",
            show_default=False,
            help="Compile the model's steps in the background, for faster answers; else TORCHBRIDGE_COMPILE, or yes.",
        ),
    ] = None,
    settings_file: Annotated[
        Path | None,
        typer.Option(
            "--config",
            metavar="FILE.toml",
            envvar="TORCHBRIDGE_CONFIG",
            help="The gateway's settings, such as port = 8000. What an option or TORCHBRIDGE_PORT says comes first.",
        ),
    ] = None,
    run_directory: RunDirectoryOption = DEFAULT_RUN_DIRECTORY,
    torchserve_config: Annotated[Path, typer.Option(help="TorchServe's ports and limits.")] = CONFIG_FILE,
) -> None:
    """Serve a model on this machine until Ctrl-C: TorchServe, its worker and the gateway."""
    if model is not None and models is not None:
        raise typer.BadParameter("takes the place of --model: give one of them", param_hint="--models")
    stages = _Stages()
    is_serving = False
    try:
        with (
            background_output(),
            failures_in_one_line(),
            stop_signals() as signals,
            ExitStack() as until_all_has_ended,
            stages,
            running_stack(
                model if models is None else DesiredState.read(models),
                stages.report,
                key=key,
                host=host,
                port=port,
                compiles=compile_,
                settings_file=settings_file,
                run_directory=run_directory,
                config=torchserve_config,
                signals=signals,
            ) as stack,
        ):
            stages.end()
            _print_sample(stack)
            is_serving = True
            until_all_has_ended.enter_context(log_lines(stack.log_format, stack.gateway_log))
            try:
                stack.wait()
            except Stopped:
                say("\nstopping ...")
                raise
    except Stopped as stopped:
        raise typer.Exit(0 if is_serving else 128 + stopped.signal_number) from None


class _Stages:
    """What the start is doing: a spinner on a terminal, a line per stage elsewhere."""

    def __init__(self) -> None:
        self._console = Console(highlight=False)
        self._spinner = self._console.status("") if self._console.is_terminal else None

    def __enter__(self) -> Self:
        if self._spinner:
            self._spinner.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.end()

    def report(self, stage: str) -> None:
        if self._spinner:
            self._spinner.update(stage)
        else:
            say(f"{stage} ...")

    def end(self) -> None:
        if self._spinner:
            self._spinner.stop()
            self._spinner = None


def _print_sample(stack: RunningStack) -> None:
    say(f"\n{SAMPLE_PROMPT}", end="")
    for text in stack.sample():
        say(text, end="")
    say("\n")
    key = " -H 'authorization: Bearer KEY'" if stack.needs_key else ""  # of which only the digests are here
    body = json.dumps({"prompt": SAMPLE_PROMPT})
    say(f"Serving at {stack.url} until Ctrl-C. Try:")
    say(f"  curl -s {stack.url}/generate{key} -H 'content-type: application/json' -d '{body}'")
    if stack.is_open_to_all:
        typer.echo(_OPEN_TO_ALL, err=True)
    say(f"The API is described at {stack.url}/docs; for OpenAI's clients: OPENAI_BASE_URL={stack.url}/v1")


def main() -> None:
    try:
        with failures_in_one_line(), stop_signals():
            app()
    except Stopped as stopped:
        _complain(str(stopped), stopped)
        raise


@contextmanager
def failures_in_one_line() -> Iterator[None]:
    """One more says what became of the change that has failed, if one was begun."""
    try:
        yield
    except _EXPECTED as error:
        _complain(_reason(error), error)
        sys.exit(EXIT_BUSY if isinstance(error, ServerBusy) else EXIT_DISK_FULL if is_full_disk(error) else 1)


def _complain(reason: str, error: BaseException) -> None:
    with suppress(OSError):  # of a reader, or a terminal, that is gone
        for line in (reason, *getattr(error, "__notes__", ())):
            typer.echo(f"torchbridge: {line}", err=True)


def _reason(error: Exception) -> str:
    match error:
        case ValidationError():
            details = error.errors(include_url=False, include_input=False)
            return "; ".join(f"TORCHBRIDGE_{detail['loc'][0]}".upper() + f": {detail['msg']}" for detail in details)
        case TorchbridgeError():
            return error.with_cause
        case DiskFull():
            return str(error)
        case OSError() if error.filename is not None and error.filename2 is None:
            return f"{error.filename}: {error.strerror}"
        case _:
            return str(error)
