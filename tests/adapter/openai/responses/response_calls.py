"""What the tests of /v1/responses send, and how they read what comes back."""

import json
from typing import Any

import httpx
from openai.types.responses import Response, ResponseStreamEvent
from pydantic import TypeAdapter

from adapter.schema import DoneEvent
from adapter.tools import ToolCall
from tests.adapter.openai.test_tools import done

PATH = "/v1/responses"
BODY = {"model": "tiny", "input": "Hello"}
STREAMED = BODY | {"stream": True}
PARAMETERS = {"type": "object", "properties": {"city": {"type": "string"}}}
WEATHER = {"type": "function", "name": "weather", "description": "d", "parameters": PARAMETERS, "strict": True}
TIME = {"type": "function", "name": "time", "parameters": None}

# OpenAI sends these; its types, which take any key more, do not have them. Open Responses requires them.
_NOT_TYPED = {"store", "frequency_penalty", "presence_penalty"}
_EVENT: TypeAdapter[ResponseStreamEvent] = TypeAdapter(ResponseStreamEvent)


def ended(text: str, calls: tuple[ToolCall, ...] = (), **more: Any) -> DoneEvent:
    event = done(text, calls)
    return DoneEvent(response=event.response.model_copy(update=more))


def as_openai_has_it(answer: Any) -> Response:
    """OpenAI's type takes it, and no key of it is unknown there."""
    parsed = Response.model_validate(answer)
    assert parsed.to_dict(exclude_unset=True) == answer
    assert set(parsed.model_extra or ()) == _NOT_TYPED
    return parsed


def events_of(answer: httpx.Response) -> list[Any]:
    """Each is one of OpenAI's, under its own name."""
    events = []
    for block in answer.text.removesuffix("\n\n").split("\n\n"):
        name, data = block.split("\n")
        event = json.loads(data.removeprefix("data: "))
        assert name == f"event: {event['type']}"
        parsed = _EVENT.validate_python(event)
        assert type(parsed).model_fields.keys() >= event.keys() - {"error"}
        events.append(event)
    return events
