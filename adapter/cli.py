"""The command `torchbridge`: which commands there are. Each is imported when it is called."""

import os
import sys
from typing import Annotated, Any, NoReturn

import typer
from typer._click.exceptions import UsageError
from typer._completion_classes import completion_init

from adapter.command_line.command_group import CommandGroup, command_group
from adapter.command_line.failures import complain, failures_in_one_line
from adapter.command_line.lazy_command import LazyCommand
from adapter.command_line.options import COMPLETION_VARIABLE, examples
from adapter.process.background_output import say
from adapter.process.stop_signals import Stopped, stop_signals

# Grouped by purpose and by module. A test compares each summary with the first paragraph of the command's own help.
COMMANDS: dict[str, dict[str, dict[str, str]]] = {
    "Serve a model": {
        "adapter.commands.serve:serve_commands": {
            "serve": "Serve a model on this machine until Ctrl-C.",
        },
        "adapter.commands.talk:talk_commands": {
            "generate": "Print a model's continuation of PROMPT.",
            "chat": "Talk with a model. From a pipe, each line is a question.",
        },
        "adapter.commands.simulate:simulate_commands": {
            "simulate": "Serve the whole API without a model, for tests.",
        },
    },
    "Archives": {
        "adapter.commands.archives:archive_commands": {
            "pack": "Check that a worker can serve MODEL, and write its archive.",
            "compile": "Compile the steps of an archive, for faster answers.",
            "attest": "Write the provenance of an archive.",
            "keys": "Key pairs that sign archives.",
        },
        "adapter.commands.archive_checks:archive_check_commands": {
            "inspect": "Show the record of an archive.",
            "verify": "Refuse an archive that may not be served.",
            "probe": "Serve an archive by itself, and compare its answers.",
            "scan": "Scan an archive with picklescan.",
            "bom": "Print the bill of materials of an archive.",
        },
        "adapter.commands.artifacts:artifact_commands": {
            "push": "Put an archive into a registry.",
            "pull": "Download an archive from a registry.",
        },
    },
    "Versions of a running server": {
        "adapter.commands.deploy:deploy_commands": {
            "deploy": "Serve an archive as a new version.",
        },
        "adapter.commands.versions:version_commands": {
            "promote": "Make a deployed VERSION the default.",
            "rollback": "Make the version before, or VERSION, the default again.",
            "retire": "Wait until VERSION's requests have ended, and delete it.",
            "scale": "Unload a VERSION (0 workers), or load it again (1).",
            "default-model": "Choose the default model.",
            "recover": "End the change of an interrupted command.",
        },
        "adapter.commands.apply:apply_commands": {
            "apply": "Bring the server to the state in models.yaml.",
        },
        "adapter.commands.canaries:canary_commands": {
            "canary": "Try a deployed VERSION with a share of the requests.",
        },
        "adapter.commands.rollouts:rollout_commands": {
            "rollout": "Have many hosts serve what a models.yaml says.",
        },
    },
    "Look at a server": {
        "adapter.commands.status:status_commands": {
            "status": "Show each version: its role, workers and requests.",
        },
        "adapter.commands.store:store_commands": {
            "list": "Show the archives in the server's store.",
        },
        "adapter.commands.top:top_commands": {
            "top": "Show what each version does right now, until Ctrl-C.",
        },
        "adapter.commands.logs:logs_commands": {
            "logs": "Show what gateway, TorchServe and workers have logged.",
        },
        "adapter.commands.doctor:doctor_commands": {
            "doctor": "Say what is wrong here, and what to do about it.",
        },
    },
    "This command": {
        "adapter.commands.completion:completion_commands": {
            "completion": "Print what completes words in your shell.",
        },
    },
}


_HELP_COLUMNS = 100  # at most, on a terminal that has them


class _Commands(CommandGroup):
    def __init__(self, **attributes: Any) -> None:
        super().__init__(**attributes)
        for panel, sources in COMMANDS.items():
            for source, summaries in sources.items():
                for name, summary in summaries.items():
                    self.add_command(LazyCommand(name, summary, panel=panel, source=source))


app = command_group(
    _Commands,
    pretty_exceptions_enable=False,  # tracebacks with local variables could show keys
    no_args_is_help=True,
    add_completion=False,  # it would change the user's files: `torchbridge completion` prints
    context_settings={"help_option_names": ["--help", "-h"], "max_content_width": _HELP_COLUMNS},
    epilog=examples("torchbridge serve", "torchbridge pack my-model --name story --version 1.0", "torchbridge status"),
)


def _print_versions(*, is_asked_for: bool) -> None:
    if is_asked_for:
        from adapter.installed_versions import installed_versions  # noqa: PLC0415 - only this has a use for it

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


def _run_for_a_program() -> NoReturn:
    """As `app()`, but a command line that is wrong is said in JSON as well."""
    try:
        code = app(standalone_mode=False)
    except UsageError as error:
        complain(error.format_message(), error, exit_code=error.exit_code)
        sys.exit(error.exit_code)
    sys.exit(code)


def main() -> None:
    if COMPLETION_VARIABLE in os.environ:
        completion_init()
    as_json = "--json" in sys.argv
    try:
        with failures_in_one_line(as_json=as_json), stop_signals():
            if as_json:
                _run_for_a_program()
            app()
    except Stopped as stopped:
        complain(str(stopped), stopped, exit_code=128 + stopped.signal_number if as_json else None)
        raise
