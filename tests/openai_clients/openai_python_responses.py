"""Responses by the package `openai` against the gateway at `url`: prints what it gave as JSON."""

import json
import sys
from collections.abc import Callable
from typing import Annotated, Any, Literal

from openai import APIError, OpenAI, Stream, pydantic_function_tool
from pydantic import BaseModel, ConfigDict, Field

url, model = sys.argv[1:3]
client = OpenAI(base_url=f"{url}/v1", api_key="a-key-that-is-known", max_retries=0)
stranger = OpenAI(base_url=f"{url}/v1", api_key="a-key-that-is-not-known", max_retries=0)
create = client.responses.create


class Dog(BaseModel):
    model_config = ConfigDict(extra="forbid")

    name: Annotated[str, Field(max_length=8)]
    size: Literal["small", "large"]


class Weather(BaseModel):
    """The weather of the next days."""

    model_config = ConfigDict(extra="forbid")

    days: Literal[1, 2, 3]


WEATHER = pydantic_function_tool(Weather, name="weather")["function"]
TOOL: Any = {"type": "function", "strict": True, **WEATHER}


def asked(text: str, **more: Any) -> dict[str, Any]:
    return {"model": model, "input": text, "max_output_tokens": 200, "temperature": 1} | more


def last_of(stream: Stream[Any]) -> str:
    *_, last = stream
    return str(last.type)


def failure(attempt: Callable[[], object]) -> dict[str, Any] | None:
    try:
        attempt()
    except APIError as error:
        status = getattr(error, "status_code", None)
        return {"name": type(error).__name__, "text": str(error), "status": status, "code": error.code}
    return None


def failures() -> dict[str, Any]:
    with create(**asked("endless", stream=True)) as endless:
        next(endless)
    return {
        "after_departure": create(**asked("departure")).output_text,
        "unauthorized": failure(lambda: stranger.responses.create(**asked("Once"))),
        "invalid_request": failure(lambda: create(**asked("Once", previous_response_id="resp_1"))),
        "model_not_found": failure(lambda: create(**asked("Once", model="other"))),
        "overloaded": failure(lambda: create(**asked("overloaded", stream=True))),
        "rate_limited": failure(lambda: create(**asked("rate_limited"))),
        "context_length_exceeded": failure(lambda: create(**asked("context_length_exceeded"))),
        "worker_died": failure(lambda: last_of(create(**asked("worker_died", stream=True)))),
    }


def forecast(days: int) -> str:
    return f"{days} fine days"


def objects_and_tools() -> dict[str, Any]:
    dog = client.responses.parse(**asked("A dog.", text_format=Dog)).output_parsed
    question: list[Any] = [{"role": "user", "content": "How is the weather?"}]
    chosen = {"type": "function", "name": "weather"}
    with client.responses.stream(**asked("", input=question, tools=[TOOL], tool_choice=chosen)) as stream:
        deltas = "".join(event.delta for event in stream if event.type == "response.function_call_arguments.delta")
        called = stream.get_final_response()
    calls: list[Any] = [item for item in called.output if item.type == "function_call"]
    results = [
        {
            "type": "function_call_output",
            "call_id": call.call_id,
            "output": f"{call.parsed_arguments['days']} fine days",
        }
        for call in calls
    ]
    history = [*question, *(item.model_dump(exclude={"parsed_arguments"}) for item in called.output), *results]
    answer = create(**asked("", input=history, instructions="Be brief.", max_output_tokens=20))
    return {
        "dog": dog and dog.model_dump(),
        "arguments": [call.arguments for call in calls],
        "deltas": deltas,
        "results": [result["output"] for result in results],
        "text": answer.output_text,
        "status": answer.status,
    }


def texts() -> dict[str, Any]:
    with client.responses.stream(**asked("Once", max_output_tokens=20)) as stream:
        pieces = [event.delta for event in stream if event.type == "response.output_text.delta"]
    return {"text": create(**asked("Once", max_output_tokens=20)).output_text, "pieces": pieces}


seen = texts() | (failures() if sys.argv[3:] == ["with failures"] else objects_and_tools())
sys.stdout.write(json.dumps(seen))
