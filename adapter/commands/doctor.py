"""The command `torchbridge doctor`."""

import os
from pathlib import Path
from typing import Annotated

import typer

from adapter.command_line.command_group import command_group
from adapter.command_line.options import (
    CONFIG_FILE,
    RUN_DIRECTORY,
    Json,
    RunDirectoryOption,
    TorchServeConfig,
    examples,
)
from adapter.doctor.examination import Examination, examine
from adapter.doctor.finding import Scene
from adapter.process.background_output import say

doctor_commands = command_group()


@doctor_commands.command(epilog=examples("torchbridge doctor", "torchbridge doctor --json"))
def doctor(
    *,
    json_: Json = False,
    run_directory: RunDirectoryOption = RUN_DIRECTORY,
    torchserve_config: TorchServeConfig = CONFIG_FILE,
    settings_file: Annotated[
        Path | None,
        typer.Option("--config", metavar="FILE.toml", help="The gateway's settings; else that of TORCHBRIDGE_CONFIG."),
    ] = None,
) -> None:
    """Say what is wrong here, and what to do about it.

    Looks at the machine, the installation, the settings and the server.
    """
    found = examine(Scene(run_directory, torchserve_config, os.environ, settings_file=settings_file))
    say(found.model_dump_json(indent=2) if json_ else "\n".join(_in_words(found)))
    if not found.is_well:
        raise typer.Exit(1)


def _in_words(found: Examination) -> list[str]:
    """No key is in it: it is made to be shown to others."""
    packages = ", ".join(f"{name} {version}" for name, version in found.versions.items())
    lines = [f"{name}: {value}" for name, value in (found.facts | {"packages": packages}).items()]
    for finding in found.findings:
        lines += ["", f"{finding.severity}: {finding.what}", *([f"  {finding.remedy}"] if finding.remedy else [])]
    verdict = "something is wrong" if not found.is_well else "nothing is wrong"
    return [*lines, "", f"{found.checks} checks: {verdict}"]
