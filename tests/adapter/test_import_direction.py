"""Imports point one way: the adapter never reaches into the worker."""

import ast
from pathlib import Path

import pytest

from adapter.archive import PROJECT

PACKED = {"adapter.schema", "adapter.event_stream"}


def imported_modules(path: Path) -> set[str]:
    modules: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            modules |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            modules.add(node.module)
    return modules


@pytest.mark.parametrize("path", sorted((PROJECT / "adapter").glob("*.py")), ids=lambda path: path.name)
def test_the_adapter_imports_neither_the_handlers_nor_torch(path: Path) -> None:
    assert {name.split(".")[0] for name in imported_modules(path)} & {"handlers", "torch", "transformers"} == set()


@pytest.mark.parametrize("path", sorted((PROJECT / "handlers").glob("*.py")), ids=lambda path: path.name)
def test_the_handlers_import_of_the_adapter_only_what_is_packed(path: Path) -> None:
    assert {name for name in imported_modules(path) if name.split(".")[0] == "adapter"} <= PACKED
