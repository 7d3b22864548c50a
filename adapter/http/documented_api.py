"""A FastAPI that reads JSON strictly, and whose OpenAPI document tells what FastAPI does not know of our answers."""

from typing import Any, cast

from fastapi import FastAPI
from starlette.types import ASGIApp

from adapter.http.json_body import JsonRoute
from adapter.http.problem_responses import CONTENT_TYPE as PROBLEM_JSON
from adapter.schema import STREAM_EVENT

_SCHEMAS = "#/components/schemas/"
_API_KEY, _OPERATOR_KEY = "apiKey", "operatorKey"
NEEDS_OPERATOR_KEY: dict[str, Any] = {"security": [{_OPERATOR_KEY: []}, {}]}  # for a route's `openapi_extra`

# FastAPI documents every model under the route's own content type: these answers have another one.
PROBLEM_ANSWERS: dict[int | str, dict[str, Any]] = {
    "default": {
        "description": "What went wrong.",
        "content": {PROBLEM_JSON: {"schema": {"$ref": f"{_SCHEMAS}Problem"}}},
    }
}
# OpenAPI 3.2's form, also FastAPI's for its own event streams: each event is an object, whose data is a text.
_EVENT = {
    "type": "object",
    "properties": {
        "data": {
            "type": "string",
            "contentMediaType": "application/json",
            "contentSchema": {"$ref": f"{_SCHEMAS}StreamEvent"},
        }
    },
    "required": ["data"],
}
EVENT_STREAM_ANSWER: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "`start`, any number of `delta`, then exactly one `done` or `error`.",
        "content": {"text/event-stream": {"itemSchema": _EVENT}},
    }
}


class DocumentedApi(FastAPI):
    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        self.router.route_class = JsonRoute

    def build_middleware_stack(self) -> ASGIApp:
        """Begins with our outermost middleware: RequestEnvelope makes an answer of every failure.

        FastAPI's and Starlette's around it would do that once more: frames that stay for as long as a stream is open,
        and a call for each of its events.
        """
        stack: Any = super().build_middleware_stack()
        while self.user_middleware and not isinstance(stack, self.user_middleware[0].cls):  # type: ignore[arg-type]
            stack = stack.app
        return cast(ASGIApp, stack)

    def openapi(self) -> dict[str, Any]:
        if self.openapi_schema is None:
            _complete(super().openapi())  # FastAPI keeps this document
        return super().openapi()


def _complete(document: dict[str, Any]) -> None:
    event = STREAM_EVENT.json_schema(mode="serialization", ref_template=_SCHEMAS + "{model}")
    schemas = document["components"]["schemas"] | event.pop("$defs") | {"StreamEvent": event}
    document["components"]["schemas"] = dict(sorted(schemas.items()))
    document["components"]["securitySchemes"] = {
        name: {"type": "http", "scheme": "bearer"} for name in (_API_KEY, _OPERATOR_KEY)
    }
    document["security"] = [{_API_KEY: []}, {}]  # a gateway without keys asks for none
    for path in document["paths"].values():
        for operation in path.values():
            for parameter in operation.get("parameters", ()):
                parameter["schema"] = _without_null(parameter["schema"])


def _without_null(schema: dict[str, Any]) -> dict[str, Any]:
    """A header or a part of an address is there or not; FastAPI makes of "not" a null, which none of them can be."""
    match schema:
        case {"anyOf": [present, {"type": "null"}], **rest}:
            return {**rest, **present}
    return schema
