"""A FastAPI whose OpenAPI document also holds the stream events and Problem, to which routes refer by name."""

from typing import Any

from fastapi import FastAPI

from adapter.problem_responses import CONTENT_TYPE as PROBLEM_JSON
from adapter.schema import STREAM_EVENT

_SCHEMAS = "#/components/schemas/"

# FastAPI documents every model under the route's own content type: these answers have another one.
PROBLEM_ANSWERS: dict[int | str, dict[str, Any]] = {
    "default": {
        "description": "What went wrong.",
        "content": {PROBLEM_JSON: {"schema": {"$ref": f"{_SCHEMAS}Problem"}}},
    }
}
EVENT_STREAM_ANSWER: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "`start`, any number of `delta`, then exactly one `done` or `error`.",
        "content": {"text/event-stream": {"schema": {"$ref": f"{_SCHEMAS}StreamEvent"}}},
    }
}


class DocumentedApi(FastAPI):
    def openapi(self) -> dict[str, Any]:
        document = super().openapi()
        event = STREAM_EVENT.json_schema(mode="serialization", ref_template=_SCHEMAS + "{model}")
        schemas = document["components"]["schemas"] | event.pop("$defs") | {"StreamEvent": event}
        document["components"]["schemas"] = dict(sorted(schemas.items()))
        return document
