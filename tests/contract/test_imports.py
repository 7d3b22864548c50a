import ast
from collections.abc import Iterator
from functools import cache
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
ADAPTER = sorted((ROOT / "adapter").rglob("*.py"))
HANDLERS = sorted((ROOT / "handlers").glob("*.py"))

# Lowest first: a module or package of one layer imports from lower layers only.
LAYERS = (
    {
        "compilation",
        "durable",
        "engine_figures",
        "handler_section",
        "installation",
        "names",
        "probes",
        "process",
        "received",
        "sent",
        "setting_values",
        "stop_pipe",
        "strict_yaml",
        "version_order",
    },
    {"output"},
    {"tools"},
    {"schema"},
    {"timeline"},
    {"call", "errors", "event_stream", "settings", "worker_contract"},
    {"installed_versions", "log_lines", "validation"},
    {"archives"},
    {"artifacts", "client", "torchserve"},
    {"generation"},
    {"tracing"},
    {"http"},
    {"control", "openai"},
    {"versions"},
    {"batches", "command_line"},
    {"gateway"},
    {"rollout", "serving"},
    {"doctor", "logs", "top"},
    {"simulator"},
    {"commands"},
    {"cli"},
    {"documents", "entry_point", "health_check"},
)
LAYER = {part: height for height, parts in enumerate(LAYERS) for part in parts}


@cache  # several tests ask for each
def imported(file: Path) -> frozenset[str]:
    return frozenset(_imported(file))


def _imported(file: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{file.name} has a relative import"
            yield node.module or ""


def from_adapter(file: Path) -> set[str]:
    return {name.partition(".")[2] for name in imported(file) if name.split(".")[0] == "adapter"}


def part_of(module: str) -> str:
    return module.split(".", maxsplit=1)[0]


def module_of(file: Path) -> str:
    return ".".join(file.relative_to(ROOT / "adapter").with_suffix("").parts)


@pytest.mark.parametrize("file", ADAPTER, ids=module_of)
def test_the_adapter_knows_neither_handlers_nor_torch(file: Path) -> None:
    packages = {name.split(".")[0] for name in imported(file)}
    assert not packages & {"handlers", "torch", "transformers", "ts"}


@pytest.mark.parametrize("file", [file for file in ADAPTER if file.stem != "__init__"], ids=module_of)
def test_imports_point_one_way(file: Path) -> None:
    own = part_of(module_of(file))
    others = {part_of(module) for module in from_adapter(file)} - {own}
    assert all(LAYER[other] < LAYER[own] for other in others)


def test_the_modules_of_a_package_do_not_import_each_other_in_a_circle() -> None:
    sorter = TopologicalSorter({module_of(file): from_adapter(file) for file in ADAPTER})
    sorter.prepare()  # raises CycleError


@pytest.mark.parametrize("file", HANDLERS, ids=lambda file: file.stem)
def test_handlers_use_only_the_contract(file: Path) -> None:
    assert from_adapter(file) <= {
        "compilation",
        "engine_figures",
        "event_stream",
        "handler_section",
        "output",
        "probes",
        "schema",
        "stop_pipe",
        "strict_yaml",
        "tools",
    }


@pytest.mark.parametrize(
    "module",
    [
        "compilation",
        "engine_figures",
        "event_stream",
        "handler_section",
        "names",
        "output",
        "probes",
        "received",
        "schema",
        "sent",
        "stop_pipe",
        "tools",
    ],
)
def test_the_contract_needs_nothing_but_pydantic(module: str) -> None:
    files = [file for file in ADAPTER if part_of(module_of(file)) == module]
    packages = {name.split(".")[0] for file in files for name in imported(file)}
    assert files
    assert packages <= {
        "adapter",
        "collections",
        "contextlib",
        "datetime",
        "decimal",
        "enum",
        "json",
        "math",
        "os",
        "pathlib",
        "pydantic",
        "pydantic_core",
        "typing",
    }


def test_what_reads_yaml_needs_nothing_of_the_gateway() -> None:
    packages = {name.split(".")[0] for name in imported(ROOT / "adapter" / "strict_yaml.py")}
    assert packages == {"collections", "pathlib", "typing", "yaml"}
