"""The command `torchbridge serve`."""

import json
from contextlib import ExitStack
from pathlib import Path
from typing import Annotated

import typer

from adapter.command_line.command_group import command_group
from adapter.command_line.failures import failures_in_one_line
from adapter.command_line.options import (
    CONFIG_FILE,
    RUN_DIRECTORY,
    RunDirectoryOption,
    TorchServeConfig,
    examples,
    key_file,
    settings_file,
)
from adapter.command_line.stages import Stages
from adapter.log_lines.gateway_log import log_lines
from adapter.process.background_output import background_output, notice, say
from adapter.process.stop_signals import Stopped, stop_signals
from adapter.serving.running_stack import RunningStack
from adapter.serving.whole_stack import whole_stack
from adapter.torchserve.sample_answer import SAMPLE_PROMPT
from adapter.versions.desired_state import DesiredState
from adapter.versions.followed_file import FollowedFile

_OPEN_TO_ALL = (
    "torchbridge: warning: other machines can reach this address, and no API key is asked for: whoever does can have "
    "text generated and take all slots from others. Set TORCHBRIDGE_API_KEYS, or listen on 127.0.0.1."
)

serve_commands = command_group()


@serve_commands.command(
    epilog=examples(
        "torchbridge serve",
        "torchbridge serve --model HuggingFaceTB/SmolLM2-135M-Instruct --port 8001",
        "torchbridge serve --model tiny-1.0.mar --key release.pub",
    )
)
def serve(
    *,
    host: Annotated[str | None, typer.Option(help="The gateway's address; else TORCHBRIDGE_HOST or loopback.")] = None,
    port: Annotated[
        int | None,
        typer.Option("--port", "-p", min=0, max=65_535, help="The gateway's port; else TORCHBRIDGE_PORT or 8000."),
    ] = None,
    model: Annotated[
        str | None,
        typer.Option(
            "--model",
            "-m",
            help="A packed archive (.mar, or oci://… in a registry), a directory, a hub id or a GGUF file; else the "
            "versions that were deployed last, if any, or models/tiny.",
        ),
    ] = None,
    models: Annotated[
        Path | None, typer.Option(metavar="models.yaml", help="Serve the versions that this file names, instead.")
    ] = None,
    watch: Annotated[
        bool, typer.Option("--watch", help="Serve what --models says also when it has changed, without a restart.")
    ] = False,
    key: Annotated[
        Path | None,
        key_file(
            "Load only what is signed with this public key, or by these identities: now, by later commands, after a "
            "crash.",
            "PUB",
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
    config: Annotated[
        Path | None,
        settings_file(
            "The gateway's settings, such as port = 8000. What an option or TORCHBRIDGE_PORT says comes first."
        ),
    ] = None,
    run_directory: RunDirectoryOption = RUN_DIRECTORY,
    torchserve_config: TorchServeConfig = CONFIG_FILE,
) -> None:
    """Serve a model on this machine until Ctrl-C.

    TorchServe, its worker and the gateway.
    """
    if model is not None and models is not None:
        raise typer.BadParameter("takes the place of --model: give one of them", param_hint="--models")
    if watch and models is None:
        raise typer.BadParameter("needs a file to watch: --models models.yaml", param_hint="--watch")
    followed = FollowedFile(models) if watch and models is not None else None
    stages = Stages()
    is_serving = False
    try:
        with (
            background_output(),
            failures_in_one_line(),
            stop_signals() as signals,
            ExitStack() as until_all_has_ended,
            stages,
            whole_stack(
                followed.read() if followed else DesiredState.read(models) if models else model,
                stages.report,
                key=key,
                host=host,
                port=port,
                compiles=compile_,
                settings_file=config,
                run_directory=run_directory,
                config=torchserve_config,
                signals=signals,
                followed=followed,
            ) as stack,
        ):
            stages.end()
            _print_sample(stack)
            is_serving = True
            until_all_has_ended.enter_context(log_lines(stack.log_format, stack.gateway_log))
            try:
                stack.wait()
            except Stopped:
                notice("\nstopping ...")
                raise
    except Stopped as stopped:
        raise typer.Exit(0 if is_serving else 128 + stopped.signal_number) from None


def _print_sample(stack: RunningStack) -> None:
    say(f"\n{SAMPLE_PROMPT}", end="")
    for text in stack.sample():
        say(text, end="")
    say("\n")
    key = " -H 'authorization: Bearer KEY'" if stack.needs_key else ""  # only the keys' digests are known here
    body = json.dumps({"prompt": SAMPLE_PROMPT})
    say(f"Serving at {stack.url} until Ctrl-C. Try:")
    say(f"  curl -s {stack.url}/generate{key} -H 'content-type: application/json' -d '{body}'")
    if stack.is_open_to_all:
        notice(_OPEN_TO_ALL)
    say(f"The API is described at {stack.url}/docs; for OpenAI's clients: OPENAI_BASE_URL={stack.url}/v1")
