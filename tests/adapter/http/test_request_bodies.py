import gzip
import json
from collections.abc import AsyncIterator

import httpx
import pytest

from adapter.gateway import create_app
from adapter.schema import Problem
from adapter.settings import Settings
from adapter.torchserve.model_registry import ModelRegistry
from tests.fakes import FakeInference, FakeManagement

JSON = {"content-type": "application/json"}
PATHS = (
    *("/generate", "/generate/stream", "/generate/batch"),
    *("/v1/completions", "/v1/chat/completions", "/v1/responses", "/chat/ui"),
)


async def refused(
    client: httpx.AsyncClient, path: str, content: bytes | AsyncIterator[bytes], headers: dict[str, str]
) -> tuple[int, str]:
    answer = await client.post(path, content=content, headers=headers)
    assert answer.headers["content-type"] == "application/problem+json"
    problem = Problem.model_validate_json(answer.content)
    assert answer.status_code == problem.status
    return problem.status, problem.code


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(b'{"prompt": ', id="cut short"),
        pytest.param(b"\xff\xfe{}", id="not UTF-8"),
        pytest.param(b'{"prompt":"p","temperature":NaN}', id="NaN"),
        pytest.param(b'{"prompt":"p","temperature":-Infinity}', id="infinity"),
        pytest.param(b'{"prompt":"\\ud800"}', id="lone surrogate"),
        pytest.param(b'{"\\ud800":1}', id="lone surrogate in a name"),
        pytest.param(b'{"prompt":"p","prompt":"q"}', id="a name twice"),
    ],
)
@pytest.mark.parametrize("path", PATHS)
async def test_refuses_what_is_not_json(
    client: httpx.AsyncClient, inference: FakeInference, path: str, content: bytes
) -> None:
    assert await refused(client, path, content, JSON) == (400, "malformed_json")
    assert not inference.requests


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(b'{"prompt":"p","metadata":%s}' % (b"[" * 33 + b"]" * 33), id="deep"),
        pytest.param(b"[" * 900, id="deeper than a reader goes"),
    ],
)
@pytest.mark.parametrize("path", PATHS)
async def test_json_beyond_a_limit_is_refused_as_what_it_is(
    client: httpx.AsyncClient, inference: FakeInference, path: str, content: bytes
) -> None:
    assert await refused(client, path, content, JSON) == (422, "invalid_request")
    assert not inference.requests


async def test_a_byte_order_mark_changes_nothing(client: httpx.AsyncClient, inference: FakeInference) -> None:
    answer = await client.post("/generate", content=b'\xef\xbb\xbf{"prompt":"p"}', headers=JSON)
    assert answer.status_code == 200
    assert inference.requests[0].prompt == "p"


@pytest.mark.parametrize(
    ("content", "field"),
    [
        pytest.param(b'{"prompt":"p","temperature":1e999}', "temperature", id="infinite"),
        pytest.param(b'{"prompt":"p","seed":1e999}', "seed", id="infinite integer"),
        pytest.param(b'{"prompt":"p","seed":1%s}' % (b"0" * 400), "seed", id="digits"),
        pytest.param(b'{"prompt":"p","temperature":1%s}' % (b"0" * 400), "temperature", id="digits of a fraction"),
        pytest.param(b'{"prompt":"p","seed":true}', "seed", id="true for a number"),
        pytest.param(b'{"prompt":"p","seed":"5"}', "seed", id="text for a number"),
        pytest.param(b'{"prompt":"p","seed":5.5}', "seed", id="fraction for an integer"),
        pytest.param(b'{"prompt":5}', "prompt", id="number for a text"),
        pytest.param(b'{"prompt":"p","model":"a/../b"}', "model", id="dot segment"),
        pytest.param(b'{"prompt":"p","model":"tiny\\n"}', "model", id="line feed"),
        pytest.param(b'{"prompt":"p","\\n\\u2028":1}', "\N{REPLACEMENT CHARACTER}" * 2, id="unprintable name"),
        pytest.param(b'"prompt"', "body", id="not an object"),
        pytest.param(b"null", "body", id="null"),
        pytest.param(b"", "body", id="empty"),
    ],
)
@pytest.mark.parametrize("path", ["/generate", "/generate/stream"])
async def test_refuses_other_json_and_names_the_field(
    client: httpx.AsyncClient, inference: FakeInference, path: str, content: bytes, field: str
) -> None:
    answer = await client.post(path, content=content, headers=JSON)
    problem = Problem.model_validate_json(answer.content)
    assert (answer.status_code, problem.code) == (422, "invalid_request")
    assert [error.field for error in problem.errors] == [field]
    assert not inference.requests


@pytest.mark.parametrize(
    ("path", "body", "errors"),
    [
        pytest.param(
            "/generate", {"prompt": "p", "stop": [1] * 60}, ["stop.0: Input should be a valid string"], id="stops"
        ),
        pytest.param(
            "/generate",
            {"prompt": "p"} | {f"field{number}": 1 for number in range(100)},
            ["body: must have at most 100 fields"],
            id="fields",
        ),
        pytest.param(
            "/v1/completions",
            {"prompt": "p", "stop": [1] * 60},
            ["stop.0: Input should be a valid string"],
            id="OpenAI's stops",
        ),
        pytest.param(
            "/v1/chat/completions", {"messages": [1] * 60}, ["messages.0: must be a JSON object"], id="wrong messages"
        ),
        pytest.param(
            "/v1/chat/completions",
            {"messages": [{"role": "user", "content": "Hi"}] * 2_049},
            ["messages: must have at most 2048 items"],
            id="messages",
        ),
        pytest.param(
            "/v1/responses",
            {"model": "tiny", "input": [1] * 60},
            ["input.0: must be a JSON object"],
            id="wrong items",
        ),
        pytest.param(
            "/chat/ui",
            {"messages": [{"role": "user", "parts": [1] * 60}]},
            ["messages.0.parts.0: must be a JSON object"],
            id="wrong parts",
        ),
    ],
)
async def test_of_very_many_faults_no_more_than_the_first_is_looked_for(
    path: str, body: object, errors: list[str]
) -> None:
    content = json.dumps(body, separators=(",", ":")).encode()
    app = create_app(Settings(), inference=FakeInference(), registry=ModelRegistry(FakeManagement(), None))
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://gateway") as client:
        answer = await client.post(path, content=content, headers=JSON)
    assert answer.status_code == 422
    assert [f"{each['field']}: {each['message']}" for each in answer.json()["errors"]] == errors


@pytest.mark.parametrize("path", PATHS)
async def test_a_number_of_too_many_digits_is_refused(path: str) -> None:
    app = create_app(Settings(), inference=FakeInference(), registry=ModelRegistry(FakeManagement(), None))
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://gateway") as client:
        assert await refused(client, path, b'{"seed":1%s}' % (b"0" * 5_000), JSON) == (422, "invalid_request")


async def test_a_whole_number_is_an_integer(client: httpx.AsyncClient, inference: FakeInference) -> None:
    answer = await client.post("/generate", content=b'{"prompt":"p","max_length":5.0,"seed":1e2}', headers=JSON)
    assert answer.status_code == 200
    assert (inference.requests[0].max_length, inference.requests[0].seed) == (5, 100)


@pytest.mark.parametrize(
    "content_type",
    [
        *("text/plain", "text/json", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x"),
        *("application/xml", "application/jsonx", "json", "application/json, text/plain", ";"),
        *(
            "application/json; charset=latin-1",
            'application/json; charset="utf-16"',
            "application/json;charset=utf-8-sig",
        ),
        "",
    ],
)
@pytest.mark.parametrize("path", PATHS)
async def test_refuses_another_content_type(client: httpx.AsyncClient, path: str, content_type: str) -> None:
    headers = {"content-type": content_type} if content_type else {}
    assert await refused(client, path, b'{"prompt":"p"}', headers) == (415, "unsupported_media_type")


@pytest.mark.parametrize(
    "content_type",
    [
        "application/json; charset=utf-8",
        'APPLICATION/JSON;Charset="UTF-8"',
        "application/x.y+json",
        "application/json;",
    ],
)
async def test_takes_json_by_its_other_names(client: httpx.AsyncClient, content_type: str) -> None:
    answer = await client.post("/generate", content=b'{"prompt":"p"}', headers={"content-type": content_type})
    assert answer.status_code == 200


@pytest.mark.parametrize("path", PATHS)
async def test_refuses_two_content_types(client: httpx.AsyncClient, path: str) -> None:
    headers = [("content-type", "application/json"), ("content-type", "application/json")]
    answer = await client.post(path, content=b'{"prompt":"p"}', headers=headers)
    assert answer.status_code == 415


@pytest.mark.parametrize("encoding", ["gzip", "br", "deflate", "zstd", "gzip, identity", "nonsense"])
@pytest.mark.parametrize("path", PATHS)
async def test_refuses_a_compressed_body(client: httpx.AsyncClient, path: str, encoding: str) -> None:
    content = gzip.compress(b'{"prompt":"p"}')
    headers = JSON | {"content-encoding": encoding}
    assert await refused(client, path, content, headers) == (415, "unsupported_media_type")


async def test_an_encoding_that_is_none_is_taken(client: httpx.AsyncClient) -> None:
    answer = await client.post("/generate", json={"prompt": "p"}, headers={"content-encoding": "identity"})
    assert answer.status_code == 200


@pytest.mark.parametrize("path", PATHS)
async def test_a_body_that_is_announced_as_too_long_is_refused(client: httpx.AsyncClient, path: str) -> None:
    assert await refused(client, path, b" " * 1_001, JSON) == (413, "payload_too_large")


@pytest.mark.parametrize("path", PATHS)
async def test_a_body_of_unknown_length_is_refused_while_it_is_read(client: httpx.AsyncClient, path: str) -> None:
    async def too_long() -> AsyncIterator[bytes]:
        for _ in range(11):
            yield b" " * 100

    assert await refused(client, path, too_long(), JSON) == (413, "payload_too_large")
