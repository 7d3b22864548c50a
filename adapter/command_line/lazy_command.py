"""A command whose module is imported when it is called.

All modules together take a second, for which a help, a typo and the completion of a word would wait.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pkgutil import resolve_name
from typing import Any

from typer import Context
from typer.core import TyperCommand
from typer.main import get_group

_SERVING = {"serve", "simulate"}  # whose validation a plugin may watch, as Logfire's does
_NO_PLUGINS = "PYDANTIC_DISABLE_PLUGINS"


class LazyCommand(TyperCommand):
    """Stands in its group for a command of the Typer at `source` ("module:name"), or for all of its commands."""

    def __init__(self, name: str, summary: str, *, panel: str, source: str) -> None:
        super().__init__(name, help=summary, rich_help_panel=panel)
        self._source = source

    def load(self) -> Any:
        """A TyperCommand or a TyperGroup, which have no common base that typer shows."""
        with _without_plugins() if self.name not in _SERVING else nullcontext():
            group = get_group(resolve_name(self._source))
        return group.commands.get(self.name or "", group)

    def make_context(self, info_name: str | None, args: list[str], parent: Any = None, **extra: Any) -> Context:
        """The real command's context: from here on the real command parses, runs and completes."""
        context: Context = self.load().make_context(info_name, args, parent, **extra)
        return context


@contextmanager
def _without_plugins() -> Iterator[None]:
    """Pydantic looks for plugins in all installed packages when it builds the first model, and that takes a while."""
    before = os.environ.get(_NO_PLUGINS)
    os.environ[_NO_PLUGINS] = "__all__"
    try:
        yield
    finally:
        if before is None:
            del os.environ[_NO_PLUGINS]
        else:
            os.environ[_NO_PLUGINS] = before
