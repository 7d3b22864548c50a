"""The command `torchbridge doctor`."""

import os
from pathlib import Path
from typing import Annotated

import typer

from adapter.background_output import say
from adapter.doctor.examination import Examination, examine
from adapter.doctor.finding import Scene
from adapter.torchserve.server_process import CONFIG_FILE, DEFAULT_RUN_DIRECTORY
from adapter.version_commands import RunDirectoryOption

doctor_commands = typer.Typer()


@doctor_commands.command()
def doctor(
    *,
    json: Annotated[bool, typer.Option("--json", help="For programs.")] = False,
    run_directory: RunDirectoryOption = DEFAULT_RUN_DIRECTORY,
    torchserve_config: Annotated[Path, typer.Option(help="TorchServe's ports and limits.")] = CONFIG_FILE,
    settings_file: Annotated[
        Path | None,
        typer.Option("--config", metavar="FILE.toml", help="The gateway's settings; else that of TORCHBRIDGE_CONFIG."),
    ] = None,
) -> None:
    """Look at the machine, the installation, the settings and the server, and say what is wrong and what to do."""
    found = examine(Scene(run_directory, torchserve_config, os.environ, settings_file=settings_file))
    say(found.model_dump_json(indent=2) if json else "\n".join(_in_words(found)))
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
