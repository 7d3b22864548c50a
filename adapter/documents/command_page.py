"""Writes all commands into docs/command-line.md, between two marks: `python -m adapter.documents.command_page`."""

from collections.abc import Iterator
from typing import Any

from pydantic import TypeAdapter
from typer.main import get_command

from adapter.archives.inspection import InspectedArchive
from adapter.cli import app
from adapter.command_line.json_fields import json_fields
from adapter.commands.apply import Convergence
from adapter.commands.archive_checks import ProbedReport, ScannedReport, VerifiedReport
from adapter.commands.archives import CompiledArchive, PackedArchive
from adapter.commands.artifacts import PulledArchive, PushedArchive
from adapter.commands.canaries import STATUSES as CANARY_STATUSES
from adapter.commands.canary_results import AbortedCanary, CanaryResult
from adapter.commands.changing_server import VersionChange
from adapter.commands.rollouts import STATUS as ROLLOUT_STATUS
from adapter.commands.rollouts import RolloutResult
from adapter.commands.status import STATUSES
from adapter.commands.store import STORED_ARCHIVES
from adapter.commands.top import ROWS
from adapter.commands.versions import DefaultModel, Recovery
from adapter.doctor.examination import Examination
from adapter.documents.generated_part import GeneratedPart
from adapter.installation import CODE
from adapter.log_lines.log_line import LogLine

PAGE = CODE / "docs" / "command-line.md"
PROGRAM = "torchbridge"

# What each command prints that has --json.
_VERSION_CHANGE, _ROLLOUT = TypeAdapter(VersionChange), TypeAdapter(RolloutResult)
JSON_OUTPUTS: dict[str, TypeAdapter[Any]] = {
    "apply": TypeAdapter(Convergence),
    "canary abort": TypeAdapter(AbortedCanary),
    "canary begin": TypeAdapter(CanaryResult),
    "canary status": CANARY_STATUSES,
    "compile": TypeAdapter(CompiledArchive),
    "default-model": TypeAdapter(DefaultModel),
    "deploy": _VERSION_CHANGE,
    "doctor": TypeAdapter(Examination),
    "inspect": TypeAdapter(InspectedArchive),
    "list": STORED_ARCHIVES,
    "logs": TypeAdapter(LogLine),
    "pack": TypeAdapter(PackedArchive),
    "probe": TypeAdapter(ProbedReport),
    "promote": _VERSION_CHANGE,
    "pull": TypeAdapter(PulledArchive),
    "push": TypeAdapter(PushedArchive),
    "recover": TypeAdapter(Recovery),
    "retire": _VERSION_CHANGE,
    "rollback": _VERSION_CHANGE,
    "rollout abort": _ROLLOUT,
    "rollout begin": _ROLLOUT,
    "rollout finish": _ROLLOUT,
    "rollout status": ROLLOUT_STATUS,
    "scale": _VERSION_CHANGE,
    "scan": TypeAdapter(ScannedReport),
    "status": STATUSES,
    "top": ROWS,
    "verify": TypeAdapter(VerifiedReport),
}

_VALUES = {"str": "text", "int": "number", "int range": "number", "float": "number", "float range": "number"}

_PART = GeneratedPart(
    "<!-- `make generate` writes this part from the commands' own help -->\n\n", "<!-- the end of this part -->\n"
)


def with_commands(page: str) -> str:
    return _PART.replace(page, "".join(f"{line}\n" for line in _commands()))


def each_command() -> Iterator[tuple[str, str, Any]]:
    """Its panel in the help, its name in a command line, and the command itself: a TyperCommand or a TyperGroup."""
    root: Any = get_command(app)
    for name, lazy in root.commands.items():
        command = lazy.load()
        yield lazy.rich_help_panel, name, command
        for inner, subcommand in getattr(command, "commands", {}).items():
            yield lazy.rich_help_panel, f"{name} {inner}", subcommand


def _commands() -> Iterator[str]:
    last_panel = None
    for panel, name, command in each_command():
        if panel != last_panel:
            yield from (f"## {panel}", "")
            last_panel = panel
        yield from _command(name, command)


def _command(name: str, command: Any) -> Iterator[str]:
    context = command.context_class(command, info_name=f"{PROGRAM} {name}")
    usage = " ".join([f"{PROGRAM} {name}", *command.collect_usage_pieces(context)])
    yield from (f"### {name}", "", command.help, "", f"`{usage}`", "")
    if command.epilog:
        _, *lines = command.epilog.split("\n\n")
        yield from (*(f"- `{line}`" for line in lines), "")
    rows = [row for parameter in command.params if (row := _parameter(parameter, context))]
    if rows:
        yield from ("| | | |", "|---|---|---|", *rows, "")
    if name in JSON_OUTPUTS:
        yield from _json(JSON_OUTPUTS[name])


def _parameter(parameter: Any, context: Any) -> str | None:
    """None for an argument of which the usage says it all."""
    is_option = parameter.param_type_name == "option"
    if not is_option and not parameter.help:
        return None
    names = (
        (*parameter.opts, *parameter.secondary_opts) if is_option else (parameter.metavar or parameter.name.upper(),)
    )
    takes_value = is_option and not parameter.is_flag
    kind = parameter.display_type(context).strip("<>")
    value = (parameter.metavar or _VALUES.get(kind, kind)) if takes_value else ""
    return f"| {', '.join(f'`{name}`' for name in names)} | {value} | {_meaning(parameter)} |"


def _meaning(parameter: Any) -> str:
    said = [parameter.help or ""]
    if parameter.required:
        said.append("Needed.")
    if isinstance(parameter.default, (int, float, str)) and not isinstance(parameter.default, bool):
        said.append(f"Default: {parameter.default}.")
    if parameter.envvar:
        said.append(f"Without this option, `{parameter.envvar}` counts.")
    return " ".join(each for each in said if each).replace("|", "\\|")


def _json(output: TypeAdapter[Any]) -> Iterator[str]:
    schema = output.json_schema(mode="serialization")
    whole = "a list of objects" if schema.get("type") == "array" else "an object"
    yield from (f"With `--json`, {whole}:", "", "| field | type | |", "|---|---|---|")
    for name, kind, description in json_fields(schema):
        yield f"| `{name}` | {kind} | {description} |"
    yield ""


if __name__ == "__main__":
    PAGE.write_text(with_commands(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
