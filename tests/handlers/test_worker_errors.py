"""Each error code that a worker can give, from the handler through the bytes to what the gateway makes of it."""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from adapter.errors import TorchbridgeError
from adapter.schema import ErrorCode, WorkerRequest
from adapter.torchserve.worker_answer import CALLERS_FAULTS, WORKERS_FAULTS, WorkerAnswer
from tests.handlers.fake_frontend import Client, FakeFrontend
from tests.tokenizer_families import CHATML, save_random_model

REQUEST = WorkerRequest(id="request-0", prompt="Once upon", model="tiny", model_version="1.0", max_length=50)
TEMPLATE = "{% if messages[0]['role'] == 'system' %}{{ raise_exception('No system here') }}{% endif %}" + CHATML


@pytest.fixture
def frontend(tmp_path: Path) -> Iterator[FakeFrontend]:
    save_random_model(tmp_path / "model", "byte_level", chat_template=TEMPLATE)
    frontend = FakeFrontend(tmp_path)
    yield frontend
    frontend.close()


def failing(error: Exception) -> Callable[..., Any]:
    def fail(*_: Any, **__: Any) -> Any:
        raise error

    return fail


def fail_in_step(frontend: FakeFrontend) -> None:
    frontend.handler._engine.step = failing(RuntimeError("broken"))


def fail_in_memory(frontend: FakeFrontend) -> None:
    frontend.handler._engine.step = failing(MemoryError())


def fail_in_encoding(frontend: FakeFrontend) -> None:
    frontend.handler._prompt_encoder._encode = failing(RuntimeError("broken"))


def fail_in_handler(frontend: FakeFrontend) -> None:
    frontend.handler._run_ahead.keep_only = failing(RuntimeError("broken"))


def forget_at_once(frontend: FakeFrontend) -> None:
    frontend.handler._run_ahead._silence = frontend.handler._run_ahead._abandon = 0.0


def nothing(_frontend: FakeFrontend) -> None: ...


@dataclass(frozen=True)
class Case:
    code: ErrorCode
    fields: dict[str, Any]
    arrange: Callable[[FakeFrontend], None] = nothing


CASES = {
    "a field of a newer gateway": Case(ErrorCode.INVALID_REQUEST, {"tool_choice": "none"}),
    "a value out of its range": Case(ErrorCode.INVALID_REQUEST, {"max_length": 0}),
    "messages that the template refuses": Case(
        ErrorCode.INVALID_REQUEST, {"messages": [{"role": "system", "content": "Be brief"}]}
    ),
    "too many tokens": Case(ErrorCode.PROMPT_TOO_LONG, {"prompt": "x" * 300}),
    "too many characters": Case(ErrorCode.PROMPT_TOO_LONG, {"prompt": "x" * 1_000_000}),
    "a step that fails": Case(ErrorCode.GENERATION_FAILED, {}, fail_in_step),
    "a tokenizer that fails": Case(ErrorCode.GENERATION_FAILED, {}, fail_in_encoding),
    "a handler that fails": Case(ErrorCode.GENERATION_FAILED, {}, fail_in_handler),
    "no memory": Case(ErrorCode.OUT_OF_MEMORY, {}, fail_in_memory),
    "an answer that nobody asked for": Case(ErrorCode.DEADLINE_EXCEEDED, {}, forget_at_once),
}


@pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())
@pytest.mark.parametrize("is_parsed", [True, False], ids=["parsed", "raw"])
def test_code_reaches_the_caller(frontend: FakeFrontend, case: Case, is_parsed: bool) -> None:
    case.arrange(frontend)
    fields = REQUEST.model_dump(mode="json") | case.fields
    client = frontend.send_body(fields if is_parsed else json.dumps(fields).encode())
    frontend.run()

    assert failure_of(client).code == case.code


def failure_of(client: Client) -> TorchbridgeError:
    answer = WorkerAnswer(REQUEST, 0.0)
    with pytest.raises(TorchbridgeError) as failure:  # noqa: PT012 - wherever it comes
        for chunk in client.chunks:
            list(answer.feed(chunk))
    return failure.value


def test_every_code_that_the_gateway_takes_from_a_worker_has_its_case() -> None:
    assert {case.code for case in CASES.values()} == CALLERS_FAULTS | WORKERS_FAULTS


@pytest.mark.parametrize("body", [b"", b"{", b"\xff", b"[]", b'{"prompt":"a"}'], ids=str)
def test_what_has_no_id_is_answered_with_torchserves(frontend: FakeFrontend, body: bytes) -> None:
    client = frontend.send_body(body)
    frontend.run()
    start, error = client.events

    assert start.id == "torchserve-0"
    assert error.problem.code == ErrorCode.INVALID_REQUEST
