"""The command `torchbridge apply`."""

from pathlib import Path
from typing import Annotated

import typer
from pydantic import BaseModel, Field

from adapter.archives.progress import progress
from adapter.command_line.options import RUN_DIRECTORY, Json, Quiet, RunDirectoryOption, examples
from adapter.command_line.stages import reporter
from adapter.commands.versions import Key
from adapter.process.background_output import background_output, say
from adapter.versions.converging import converge
from adapter.versions.desired_state import DesiredState, local_archives, verify_desired
from adapter.versions.plan import plan as plan_actions
from adapter.versions.required_key import required_key
from adapter.versions.running_server import RunningServer
from adapter.versions.settling import state_after

apply_commands = typer.Typer()


class Plan(BaseModel):
    """What `apply --plan --json` shows."""

    interrupted: str | None = Field(description="How the change of an interrupted command is ended first.")
    actions: list[str] = Field(description="What is done then, in this order. Empty: there is nothing to do.")

    def in_words(self) -> str:
        first = [f"first, what was interrupted: {self.interrupted}"] if self.interrupted else []
        return "\n".join(first + self.actions) or "nothing to do"


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
    key: Key = None,
    quiet: Quiet = False,
    run_directory: RunDirectoryOption = RUN_DIRECTORY,
) -> None:
    """Bring the server to the state in models.yaml.

    Deploys, scales, promotes and retires versions until they are as the file says. All archives that it names are
    verified first.
    """
    if json_ and not plan:
        raise typer.BadParameter("shows a plan: it takes --plan", param_hint="--json")
    desired = DesiredState.read(models)
    if plan:
        planned = _planned(desired, RunningServer(run_directory), key)
        say(planned.model_dump_json(indent=2) if json_ else planned.in_words())
        return
    server, what = RunningServer(run_directory), f"apply {models.name}"
    with background_output():
        if not converge(server, desired, what, reporter(quiet=quiet), progress=progress(quiet=quiet), key=key):
            say("nothing to do")
        elif quiet:
            say(f"the server is as {models} says")


def _planned(desired: DesiredState, server: RunningServer, key: Path | None) -> Plan:
    required = required_key(server.files, key)
    with local_archives(desired, server.files, required, lambda _: None) as local:
        verify_desired(local, required)
        state, first = state_after(server)
        return Plan(interrupted=first, actions=[action.description for action in plan_actions(state, local)])
