import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from adapter.documents.openapi import render
from adapter.schema import BatchRequest, GenerationRequest, InvalidItem

COMMITTED = Path(__file__).parents[2] / "openapi.json"
DOCUMENT: dict[str, Any] = json.loads(COMMITTED.read_text())
SCHEMAS: dict[str, Any] = DOCUMENT["components"]["schemas"]
OPERATIONS = {operation["operationId"]: operation for path in DOCUMENT["paths"].values() for operation in path.values()}


def test_the_committed_document_is_what_the_code_says() -> None:
    assert COMMITTED.read_text() == render(), "run `make generate`"


def test_each_description_says_what_the_value_is() -> None:
    fragment = re.compile(r"(As|By|For|From|Of|Since|That|Which|Whose|With) ")
    assert [text for text in descriptions(DOCUMENT) if fragment.match(text)] == []


def descriptions(part: Any) -> Iterator[str]:
    match part:
        case dict():
            for name, value in part.items():
                yield from [value] if name == "description" and isinstance(value, str) else descriptions(value)
        case list():
            for each in part:
                yield from descriptions(each)


def test_operation_ids_are_the_names_that_clients_use() -> None:
    generations = {"generate", "generateStream", "stopStream", "generateBatch"}
    assert set(OPERATIONS) == generations | {"listModels", "getModel", "livez", "readyz", "metrics", "canaryVerdict"}


@pytest.mark.parametrize("request_type", [GenerationRequest, BatchRequest])
def test_the_example_that_the_docs_page_fills_in_is_valid(request_type: type[GenerationRequest | BatchRequest]) -> None:
    [example] = SCHEMAS[request_type.__name__]["examples"]
    request = request_type.model_validate(example)
    if isinstance(request, BatchRequest):
        assert not any(isinstance(item, InvalidItem) for item in request.requests)


def test_a_key_may_be_needed_but_for_what_tells_whether_the_gateway_is_there() -> None:
    schemes = DOCUMENT["components"]["securitySchemes"]
    assert {(scheme["type"], scheme["scheme"]) for scheme in schemes.values()} == {("http", "bearer")}
    api_key, operator_key = schemes
    assert DOCUMENT["security"] == [{api_key: []}, {}]
    own = {name: operation["security"] for name, operation in OPERATIONS.items() if "security" in operation}
    operators = {name: [{operator_key: []}, {}] for name in ("metrics", "canaryVerdict")}
    assert own == {"livez": [], "readyz": [], **operators}


def test_every_reference_leads_somewhere() -> None:
    references = re.findall(r'"\$ref": "#/components/schemas/(\w+)"', COMMITTED.read_text())
    assert len(references) == COMMITTED.read_text().count('"$ref"')
    assert set(references) == set(SCHEMAS)


@pytest.mark.parametrize("operation", OPERATIONS.values(), ids=OPERATIONS)
def test_every_failure_is_a_problem_and_nothing_else(operation: dict[str, Any]) -> None:
    failures = {status: answer for status, answer in operation["responses"].items() if status not in {"200", "204"}}
    assert list(failures) == ["default"]
    assert failures["default"]["content"] == {
        "application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}
    }


@pytest.mark.parametrize("operation", OPERATIONS.values(), ids=OPERATIONS)
def test_no_parameter_may_be_null(operation: dict[str, Any]) -> None:
    for parameter in operation.get("parameters", ()):
        assert parameter["schema"]["type"] in {"boolean", "number", "string"}


def test_the_stream_is_documented_as_events() -> None:
    [(media_type, content)] = OPERATIONS["generateStream"]["responses"]["200"]["content"].items()
    assert media_type == "text/event-stream"
    assert content["itemSchema"]["properties"]["data"]["contentSchema"] == {"$ref": "#/components/schemas/StreamEvent"}


def test_an_event_is_told_by_its_type() -> None:
    mapping = SCHEMAS["StreamEvent"]["discriminator"]["mapping"]
    assert mapping == {
        name: f"#/components/schemas/{name.title()}Event" for name in ("start", "delta", "done", "error")
    }
    assert [kind["$ref"] for kind in SCHEMAS["StreamEvent"]["oneOf"]] == [
        f"#/components/schemas/{name}Event" for name in ("Start", "Delta", "Done", "Error")
    ]


def test_every_field_of_an_answer_is_required() -> None:
    for name in ("GenerationResponse", "Problem", "StartEvent", "DeltaEvent", "DoneEvent", "ErrorEvent", "Model"):
        assert SCHEMAS[name]["required"] == list(SCHEMAS[name]["properties"]), name


def test_only_the_prompt_of_a_request_is_required() -> None:
    assert SCHEMAS["GenerationRequest"]["required"] == ["prompt"]


def test_one_stop_string_needs_no_list() -> None:
    assert [kind["type"] for kind in SCHEMAS["GenerationRequest"]["properties"]["stop"]["anyOf"]] == ["string", "array"]


def test_what_only_the_worker_sees_is_not_in_the_document() -> None:
    assert "WorkerRequest" not in COMMITTED.read_text()


def test_patterns_mean_the_same_in_javascript() -> None:
    patterns = re.findall(r'"pattern": "(.*)"', COMMITTED.read_text())
    assert patterns
    assert not any(token in pattern for pattern in patterns for token in (r"\\A", r"\\Z", "(?P", "(?<", "(?i"))
