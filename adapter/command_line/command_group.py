"""Commands, and their help as plain text in sections: to import rich for it takes longer than all else of a help."""

from collections import defaultdict
from typing import Any

import typer
from typer.core import TyperGroup


class CommandGroup(TyperGroup):
    def format_commands(self, ctx: Any, formatter: Any) -> None:  # noqa: ARG002 - typer's signature
        """A section for each panel. No summary is cut: it is wrapped."""
        widest = max(map(len, self.commands))
        sections: dict[str, list[tuple[str, str]]] = defaultdict(list)
        for name, command in self.commands.items():
            summary = (command.help or "").partition("\n\n")[0]
            sections[getattr(command, "rich_help_panel", None) or "Commands"].append((name.ljust(widest), summary))
        for title, rows in sections.items():
            with formatter.section(title):
                formatter.write_dl(rows)


def command_group(cls: type[CommandGroup] = CommandGroup, **attributes: Any) -> typer.Typer:
    """What a module's commands are added to."""
    return typer.Typer(cls=cls, rich_markup_mode=None, **attributes)
