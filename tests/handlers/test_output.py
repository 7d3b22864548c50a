"""The handler gives an answer the form that its request asks for, or says before its first token why it cannot."""

import json
from pathlib import Path

import pytest
from jsonschema import validate
from llguidance import LLParserLimits

from adapter.schema import ErrorCode, ErrorEvent
from handlers import grammars
from tests.handlers.fake_frontend import FakeFrontend, response

MODELS = Path(__file__).parents[2] / "models"
SCHEMA = {"type": "object", "properties": {"is_good": {"type": "boolean"}}, "required": ["is_good"]}
CLOSED = SCHEMA | {"additionalProperties": False}


def test_json_is_valid_and_its_end_says_that_it_is_complete(frontend: FakeFrontend) -> None:
    client = frontend.send(prompt="Once", max_length=100, output={"schema": CLOSED})
    frontend.run()

    answer = response(client)
    validate(json.loads(answer.text), CLOSED)
    assert answer.finish_reason == "complete"


def test_json_that_is_cut_short_says_so(frontend: FakeFrontend) -> None:
    client = frontend.send(prompt="Once", max_length=2, output={"schema": CLOSED})
    frontend.run()

    assert response(client).finish_reason == "length"


def test_a_form_that_cannot_be_kept_is_refused_before_there_is_a_token(frontend: FakeFrontend) -> None:
    client = frontend.send(prompt="Once", output={"schema": {"type": "array", "uniqueItems": True}})
    other = frontend.send(prompt="Once", max_length=3)
    frontend.run()

    failure = client.events[-1]
    assert isinstance(failure, ErrorEvent)
    assert failure.problem.code == ErrorCode.INVALID_REQUEST
    assert "uniqueItems" in failure.problem.detail
    assert [event.type for event in client.events] == ["start", "error"]
    assert response(other).tokens_generated == 3


def test_a_grammar_that_becomes_too_complex_ends_its_own_answer_alone(
    frontend: FakeFrontend, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(grammars, "_LIMITS", LLParserLimits(step_lexer_fuel=2_000))
    client = frontend.send(prompt="Once", output={"regex": "(a|b)*a(a|b){200}"}, temperature=1, seed=1)
    other = frontend.send(prompt="Once", max_length=30)
    frontend.run()

    failure = client.events[-1]
    assert isinstance(failure, ErrorEvent)
    assert failure.problem.code == ErrorCode.GENERATION_FAILED
    assert "output" in failure.problem.detail
    assert response(other).tokens_generated == 30


def test_logprobs_come_with_the_text_and_once_more_at_the_end(frontend: FakeFrontend) -> None:
    client = frontend.send(prompt="Once upon a time", max_length=20, temperature=0, logprobs=2)
    frontend.run()

    told = response(client).logprobs
    assert told is not None
    assert len(told) == 20
    assert b"".join(bytes(each.bytes) for each in told).decode() == response(client).text
    assert all(each.top[0].id == each.id for each in told)  # the likeliest one was taken
    deltas = [event.logprobs for event in client.events if event.type == "delta"]
    assert tuple(each for of in deltas for each in of or ()) == told


def test_who_asks_for_none_has_none(frontend: FakeFrontend) -> None:
    client = frontend.send(prompt="Once upon a time", max_length=5)
    frontend.run()

    assert response(client).logprobs is None
    assert all(event.logprobs is None for event in client.events if event.type == "delta")
