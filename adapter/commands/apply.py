"""The command `torchbridge apply`."""

import time
from pathlib import Path
from typing import Annotated

import typer
from pydantic import Field

from adapter.archives.progress import progress
from adapter.command_line.command_group import command_group
from adapter.command_line.options import RUN_DIRECTORY, Json, Quiet, RequiredKey, RunDirectoryOption, examples
from adapter.command_line.result import Result, Seconds, seconds_since, show
from adapter.command_line.stages import reporter
from adapter.process.background_output import background_output
from adapter.versions.converging import Converged, converge
from adapter.versions.desired_state import DesiredState, local_archives, verify_desired
from adapter.versions.plan import plan as plan_actions
from adapter.versions.required_key import required_key
from adapter.versions.running_server import RunningServer
from adapter.versions.settling import state_after

apply_commands = command_group()


class Convergence(Result):
    """What `apply` shows, also of a plan."""

    file: Path = Field(description="The file with the state that is wanted.")
    is_planned: bool = Field(description="Whether this is only a plan, of which nothing is done.")
    interrupted: str | None = Field(
        description="How the change of an interrupted command is, or was, ended first; null if none was interrupted."
    )
    actions: list[str] = Field(
        description="What is, or was, done then, in this order; empty if there is nothing to do."
    )
    defaults: dict[str, str] = Field(description="The default version of each model that is served now.")
    seconds: Seconds

    def in_words(self) -> str:
        if self.is_planned:
            first = [f"first, what was interrupted: {self.interrupted}"] if self.interrupted else []
            return "\n".join(first + self.actions) or "nothing to do"
        return f"the server is as {self.file} says" if self.actions else "nothing to do"


@apply_commands.command(
    epilog=examples(
        "torchbridge apply models.yaml --plan",
        "torchbridge apply models.yaml --plan --json",
        "torchbridge apply models.yaml",
    )
)
def apply(
    models: Annotated[Path, typer.Argument(metavar="models.yaml")],
    *,
    plan: Annotated[bool, typer.Option("--plan", help="Only show what would be done.")] = False,
    json_: Json = False,
    key: RequiredKey = None,
    quiet: Quiet = False,
    run_directory: RunDirectoryOption = RUN_DIRECTORY,
) -> None:
    """Bring the server to the state in models.yaml.

    Deploys, scales, promotes and retires versions until they are as the file says. All archives that it names are
    verified first.
    """
    began, desired, server = time.monotonic(), DesiredState.read(models), RunningServer(run_directory)
    if plan:
        found = _planned(desired, server, key)
    else:
        with background_output():
            found = converge(
                server, desired, f"apply {models.name}", reporter(quiet=quiet), progress=progress(quiet=quiet), key=key
            )
    result = Convergence(
        file=models,
        is_planned=plan,
        interrupted=found.interrupted,
        actions=found.actions,
        defaults={name: model.default for name, model in server.state.models.items()},
        seconds=seconds_since(began),
    )
    show(result, as_json=json_)


def _planned(desired: DesiredState, server: RunningServer, key: Path | None) -> Converged:
    required = required_key(server.files, key)
    with local_archives(desired, server.files, required, lambda _: None) as local:
        verify_desired(local, required)
        state, first = state_after(server)
        return Converged([action.description for action in plan_actions(state, local)], first)
