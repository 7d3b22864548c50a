import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
ADAPTER = sorted((ROOT / "adapter").glob("*.py"))
HANDLERS = sorted((ROOT / "handlers").glob("*.py"))

# Lowest first: a module of one layer imports from lower layers, or from its own.
LAYERS = (
    {"schema"},
    {"call", "error_table", "event_stream", "errors", "settings", "model_source", "model_config"},
    {"torchserve_keys", "refreshing", "archive", "gateway_answer", "client", "api_keys", "rate_limit"},
    {"admission", "deadlines", "invalid_fields", "metrics", "openai_problem", "retry_budget", "shutdown"},
    {"management_client", "inference_client", "worker_answer", "model_check"},
    {"model_registry"},
    {"response_cache", "response_store", "reused_answer", "shared_run"},
    {"text_generator"},
    {
        "authentication",
        "departure",
        "docs_page",
        "documented_api",
        "event_stream_response",
        "http_protocol",
        "json_body",
        "limited_body",
        "problem_responses",
        "request_envelope",
    },
    {"batch", "call_parameters", "openai_answers", "openai_schema", "openai_translation"},
    {"generation_routes", "model_routes", "openai_api", "operator_routes"},
    {"run_directory", "ports", "worker_log", "torchserve_launcher"},
    {"gateway", "server_process"},
    {"gateway_server", "openapi"},
    {"serve"},
    {"cli"},
)
LAYER = {module: height for height, modules in enumerate(LAYERS) for module in modules}


def imported(file: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{file.name} has a relative import"
            yield node.module or ""


def from_adapter(file: Path) -> set[str]:
    return {name.partition(".")[2] for name in imported(file) if name.split(".")[0] == "adapter"}


@pytest.mark.parametrize("file", ADAPTER, ids=lambda file: file.stem)
def test_the_adapter_knows_neither_handlers_nor_torch(file: Path) -> None:
    packages = {name.split(".")[0] for name in imported(file)}
    assert not packages & {"handlers", "torch", "transformers", "ts"}


@pytest.mark.parametrize("file", [file for file in ADAPTER if file.stem != "__init__"], ids=lambda file: file.stem)
def test_imports_point_one_way(file: Path) -> None:
    assert all(LAYER[module] <= LAYER[file.stem] for module in from_adapter(file))


@pytest.mark.parametrize("file", HANDLERS, ids=lambda file: file.stem)
def test_handlers_use_only_the_contract(file: Path) -> None:
    assert from_adapter(file) <= {"schema", "event_stream"}


@pytest.mark.parametrize("module", ["schema", "event_stream"])
def test_the_contract_needs_nothing_but_pydantic(module: str) -> None:
    packages = {name.split(".")[0] for name in imported(ROOT / "adapter" / f"{module}.py")}
    assert packages <= {"adapter", "collections", "enum", "pydantic", "pydantic_core", "typing"}
