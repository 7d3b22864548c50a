"""Each number of the command line is one: a limit takes `nan` for less than all and for more than all."""

from collections.abc import Iterator
from typing import get_args

import pytest
from typer.testing import CliRunner

from adapter.cli import app
from adapter.documents.command_page import each_command


def options() -> Iterator[tuple[str, ...]]:
    for _, name, command in each_command():
        for parameter in command.params:
            annotation = getattr(parameter, "type_descriptor", None) and parameter.type_descriptor.annotation
            if float in {annotation, *get_args(annotation)}:
                yield (*name.split(), parameter.opts[0])


OPTIONS = sorted(set(options()))


def test_there_are_some() -> None:
    assert ("top", "--interval") in OPTIONS
    assert ("canary", "begin", "--percent") in OPTIONS


@pytest.mark.parametrize("value", ["nan", "inf"])
@pytest.mark.parametrize("option", OPTIONS, ids=" ".join)
def test_what_is_no_number_is_refused(option: tuple[str, ...], value: str) -> None:
    *command, name = option
    done = CliRunner().invoke(app, [*command, f"{name}={value}"], env={"COLUMNS": "200"})
    assert done.exit_code == 2
    assert name in done.output
