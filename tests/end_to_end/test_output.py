"""Answers of a form that was asked for, on the real stack and through unmodified clients."""

import json
from collections.abc import Iterator
from typing import Annotated, Any, Literal

import httpx
import pytest
from jsonschema import validate
from openai import LengthFinishReasonError, OpenAI, UnprocessableEntityError
from pydantic import BaseModel, ConfigDict, Field

from tests.adapter.gateway_calls import events_of
from tests.waiting import PATIENCE

SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {"name": {"type": "string", "maxLength": 8}, "is_good": {"type": "boolean"}},
    "required": ["name", "is_good"],
    "additionalProperties": False,
}
UNSUPPORTED = {"type": "array", "uniqueItems": True}


class Dog(BaseModel):
    model_config = ConfigDict(extra="forbid")

    name: Annotated[str, Field(max_length=8)]
    size: Literal["small", "large"]


@pytest.fixture
def gateway(gateway_url: str) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=gateway_url, timeout=PATIENCE) as client:
        yield client


@pytest.fixture
def openai(gateway_url: str) -> Iterator[OpenAI]:
    with OpenAI(base_url=f"{gateway_url}/v1", api_key="none is asked for", timeout=PATIENCE, max_retries=0) as client:
        yield client


def test_json_whole_and_streamed(gateway: httpx.Client) -> None:
    body = {"prompt": "A dog: ", "temperature": 1, "output": {"schema": SCHEMA}}
    answer = gateway.post("/generate", json=body).json()
    streamed = gateway.post("/generate/stream", json=body)

    validate(json.loads(answer["text"]), SCHEMA)
    assert answer["finish_reason"] == "complete"
    assert events_of(streamed)[-1] == "done"


def test_a_choice_and_a_regular_expression(gateway: httpx.Client) -> None:
    outputs = [{"choice": ["yes", "no"]}, {"regex": "[A-F]{3}"}]
    bodies = [{"prompt": "Once", "temperature": 1, "output": output} for output in outputs]
    choice, letters = (gateway.post("/generate", json=body).json()["text"] for body in bodies)

    assert choice in {"yes", "no"}
    assert set(letters) <= set("ABCDEF")
    assert len(letters) == 3


@pytest.mark.parametrize("address", ["/generate", "/generate/stream"])
def test_what_cannot_be_kept_is_refused_by_its_name(gateway: httpx.Client, address: str) -> None:
    refused = gateway.post(address, json={"prompt": "Once", "output": {"schema": UNSUPPORTED}})

    assert refused.status_code == 422
    assert refused.json()["code"] == "invalid_request"
    assert "uniqueItems" in refused.json()["detail"]


def test_openais_client_parses_what_it_gets(openai: OpenAI) -> None:
    completion = openai.chat.completions.parse(
        model="tiny", messages=[{"role": "user", "content": "A dog?"}], response_format=Dog, temperature=1
    )

    assert isinstance(completion.choices[0].message.parsed, Dog)
    assert completion.choices[0].finish_reason == "stop"


def test_openais_client_says_that_json_was_cut_short(openai: OpenAI) -> None:
    with pytest.raises(LengthFinishReasonError):
        openai.chat.completions.parse(
            model="tiny", messages=[{"role": "user", "content": "A dog?"}], response_format=Dog, max_tokens=2
        )


def test_any_json_object(openai: OpenAI) -> None:
    completion = openai.chat.completions.create(
        model="tiny",
        messages=[{"role": "user", "content": "A dog?"}],
        response_format={"type": "json_object"},
        temperature=0,
        max_tokens=60,
    )

    choice = completion.choices[0]
    assert choice.message.content is not None
    assert choice.message.content.lstrip().startswith("{")
    assert choice.finish_reason == "length" or isinstance(json.loads(choice.message.content), dict)


def test_openais_client_is_told_what_cannot_be_kept(openai: OpenAI) -> None:
    with pytest.raises(UnprocessableEntityError, match="uniqueItems"):
        openai.chat.completions.create(
            model="tiny",
            messages=[{"role": "user", "content": "A dog?"}],
            response_format={"type": "json_schema", "json_schema": {"name": "list", "schema": UNSUPPORTED}},
        )
