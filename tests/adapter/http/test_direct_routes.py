"""Valid generations take no part of FastAPI's that costs time, and what is not valid still gets FastAPI's words."""

from typing import Any

import fastapi.routing
import httpx
import pytest
from fastapi.routing import iter_route_contexts
from jiter import from_json

from adapter.gateway import create_app
from adapter.http import json_body
from adapter.http.direct_routes import DirectRoutes
from adapter.settings import Settings
from adapter.torchserve.model_registry import ModelRegistry
from tests.fakes import FakeInference, FakeManagement

GENERATION = {"prompt": "Once", "max_length": 2}
MESSAGES = {"messages": [{"role": "user", "content": "Once"}]}
BODIES = {
    "/generate": GENERATION,
    "/generate/stream": GENERATION,
    "/generate/batch": {"requests": [GENERATION]},
    "/v1/completions": {"prompt": "Once"},
    "/v1/chat/completions": MESSAGES,
    "/v1/responses": {"model": "tiny", "input": "Once"},
    "/chat/ui": {"messages": [{"role": "user", "parts": [{"type": "text", "text": "Once"}]}]},
}
REFUSED: list[dict[str, Any]] = [
    {"json": {"max_length": 0}},
    {"json": ["a list"]},
    {"json": "a text"},
    {"json": {"requests": ["a text"], "messages": ["a text"], "prompt": {}}},
    {"content": b"null", "headers": {"content-type": "application/json"}},
    {"json": {**GENERATION, **MESSAGES, "unknown": 1, "temperature": "hot"}, "headers": {"x-request-timeout": "soon"}},
    {"json": {"prompt": "Once"}, "headers": {"x-user": " "}},
    {"content": b"", "headers": {"content-type": "application/json"}},
    {"content": b"{", "headers": {"content-type": "application/json"}},
    {"content": b"{}", "headers": {"content-type": "text/plain"}},
]


@pytest.fixture
def solved_for(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The paths for which FastAPI has looked for dependencies."""
    solved: list[str] = []
    solve = fastapi.routing.solve_dependencies

    async def note(**arguments: Any) -> Any:
        solved.append(arguments["request"].url.path)
        return await solve(**arguments)

    monkeypatch.setattr(fastapi.routing, "solve_dependencies", note)
    return solved


def test_every_generation_is_direct() -> None:
    posts = {each.path for each in iter_route_contexts(create_app(Settings()).routes) if "POST" in each.methods}
    assert posts == set(BODIES)


@pytest.mark.parametrize("path", BODIES)
@pytest.mark.parametrize("headers", [{}, {"x-request-timeout": "5", "x-user": "ann", "cache-control": "no-cache"}])
async def test_a_valid_generation_is_answered_without_fastapi(
    client: httpx.AsyncClient, solved_for: list[str], path: str, headers: dict[str, str]
) -> None:
    answer = await client.post(path, json=BODIES[path], headers=headers)
    assert (answer.status_code, solved_for) == (200, [])


@pytest.mark.parametrize("path", BODIES)
async def test_below_a_prefix_it_is_too(
    inference: FakeInference, management: FakeManagement, solved_for: list[str], path: str
) -> None:
    app = create_app(Settings(root_path="/llm"), inference=inference, registry=ModelRegistry(management, None))
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://gateway") as client:
        answer = await client.post(f"/llm{path}", json=BODIES[path])
    assert (answer.status_code, solved_for) == (200, [])


@pytest.mark.parametrize("path", BODIES)
@pytest.mark.parametrize("sent", REFUSED)
async def test_what_is_refused_is_refused_in_fastapis_words(
    client: httpx.AsyncClient, path: str, sent: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    sent = {**sent, "headers": {**sent.get("headers", {}), "x-request-id": "1"}}
    direct = await client.post(path, **sent)
    monkeypatch.setattr(DirectRoutes, "__call__", _not_direct)
    by_fastapi = await client.post(path, **sent)
    for answer in (direct, by_fastapi):
        del answer.headers["server-timing"]
    assert (direct.status_code, direct.text, direct.headers) == (
        by_fastapi.status_code,
        by_fastapi.text,
        by_fastapi.headers,
    )


@pytest.mark.parametrize("path", BODIES)
@pytest.mark.parametrize("headers", [{}, {"x-user": " "}])
async def test_a_body_that_is_refused_is_read_once(
    client: httpx.AsyncClient, path: str, headers: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[bytes] = []

    def note(body: bytes, **how: Any) -> Any:
        read.append(body)
        return from_json(body, **how)

    monkeypatch.setattr(json_body, "from_json", note)
    answer = await client.post(path, json={"temperature": "hot"}, headers=headers)
    assert (answer.status_code, len(read)) == (422, 1)


async def _not_direct(self: DirectRoutes, *arguments: Any) -> None:
    await self._app(*arguments)
