import json
from dataclasses import dataclass
from typing import Any, Literal

import pytest
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator
from typing_extensions import TypedDict  # pydantic takes no other before Python 3.12

from adapter.client import ObjectInvalid, ObjectTruncated
from adapter.client.objects import ObjectForm
from tests.adapter.client.conftest import Connect
from tests.adapter.fake_gateway import answers, fake_gateway
from tests.adapter.wire import RESPONSE


class Toy(BaseModel):
    name: str = Field(max_length=20)
    kind: Literal["ball", "kite"]


class Dog(BaseModel):
    name: str
    toys: list[Toy] = []

    @field_validator("name")
    @classmethod
    def _check_name(cls, name: str) -> str:
        if name == "Cat":
            raise ValueError("a dog has a dog's name")
        return name


class Open(BaseModel):
    model_config = ConfigDict(extra="allow")


@dataclass
class Point:
    x: int


class Pair(TypedDict):
    left: int


REX = '{"name": "Rex", "toys": [{"name": "red", "kind": "ball"}]}'


def text_answer(text: str, finish_reason: str = "stop") -> dict[str, Any]:
    return RESPONSE.model_dump() | {"text": text, "finish_reason": finish_reason}


def chat_answer(text: str, finish_reason: str = "stop") -> dict[str, Any]:
    choice = {"message": {"content": text}, "finish_reason": finish_reason}
    usage = {"prompt_tokens": 1, "completion_tokens": 1}
    return {"id": "1", "model": "tiny@1.0", "system_fingerprint": "fp_1", "choices": [choice], "usage": usage}


def test_an_object_is_an_instance_of_its_model(connect: Connect) -> None:
    with fake_gateway(answers(200, text_answer(REX))) as gateway:
        dog = connect(gateway.url).generate_object(schema=Dog, prompt="A dog:", max_length=50, timeout=9)
    assert dog == Dog(name="Rex", toys=[Toy(name="red", kind="ball")])
    [exchange] = gateway.exchanges
    assert exchange.target == "POST /generate"
    body = {"prompt": "A dog:", "max_length": 50, "output": {"schema": ObjectForm(Dog).schema}}
    assert json.loads(exchange.body) == body


def test_an_object_of_a_chat_is_one_too(connect: Connect) -> None:
    messages = [{"role": "user", "content": "A dog?"}]
    with fake_gateway(answers(200, chat_answer(REX))) as gateway:
        assert connect(gateway.url).generate_object(schema=Dog, messages=messages).name == "Rex"
    [exchange] = gateway.exchanges
    assert exchange.target == "POST /v1/chat/completions"
    form = {"type": "json_schema", "json_schema": {"name": "answer", "schema": ObjectForm(Dog).schema}}
    assert json.loads(exchange.body) == {"messages": messages, "response_format": form}


@pytest.mark.parametrize("answer", [text_answer, chat_answer], ids=["text", "chat"])
@pytest.mark.parametrize("text", ['{"name": "Re', REX, ""], ids=["broken", "perhaps whole", "nothing"])
def test_an_object_that_too_few_tokens_end_is_truncated(connect: Connect, answer: Any, text: str) -> None:
    asked: dict[str, Any] = {"prompt": "A"} if answer is text_answer else {"messages": []}
    with (
        fake_gateway(answers(200, answer(text, "length"))) as gateway,
        pytest.raises(ObjectTruncated, match="max_length") as raised,
    ):
        connect(gateway.url).generate_object(schema=Dog, **asked)
    assert raised.value.text == text


def test_an_object_that_its_model_refuses_is_invalid(connect: Connect) -> None:
    with (
        fake_gateway(answers(200, text_answer('{"name": "Cat"}'))) as gateway,
        pytest.raises(ObjectInvalid, match=r"name: Value error, a dog has a dog's name") as raised,
    ):
        connect(gateway.url).generate_object(schema=Dog, prompt="A")
    assert raised.value.text == '{"name": "Cat"}'
    assert isinstance(raised.value.__cause__, ValidationError)


def test_other_types_are_objects_as_well(connect: Connect) -> None:
    with fake_gateway(answers(200, text_answer('[{"x": 1}]'))) as gateway:
        assert connect(gateway.url).generate_object(schema=list[Point], prompt="A") == [Point(1)]


def test_objects_have_the_fields_that_are_named_and_no_other() -> None:
    schema = ObjectForm(Dog).schema
    assert schema["additionalProperties"] is False
    assert schema["$defs"]["Toy"]["additionalProperties"] is False
    assert ObjectForm(Point).schema["additionalProperties"] is False
    assert ObjectForm(Pair).schema["additionalProperties"] is False


def test_a_model_that_takes_other_fields_gets_them() -> None:
    assert ObjectForm(Open).schema["additionalProperties"] is True
    assert ObjectForm(dict[str, int]).schema["additionalProperties"] == {"type": "integer"}
