"""A stream goes on behind the id of an event that its caller has had, at any gateway that has the key."""

import base64
import json
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import httpx
import pytest
from pydantic import SecretStr

from adapter.call import Call
from adapter.event_stream import EventDecoder, encode_event
from adapter.gateway import create_app
from adapter.http import cursor_form
from adapter.http.cursors import Asked, Cursors
from adapter.schema import (
    DeltaEvent,
    DoneEvent,
    GenerationRequest,
    StartEvent,
    StreamEvent,
    WorkerDelta,
    WorkerRequest,
)
from adapter.settings import Settings
from adapter.torchserve.model_registry import ModelRegistry
from tests.fakes import FakeInference, FakeManagement, answer_to

KEY, OTHER_KEY = SecretStr("a" * 32), SecretStr("b" * 32)
BODY = {"prompt": "Once"}
RESUMABLE = {"x-resumable": "true", "x-request-id": "request-1"}
START, *_, DONE = answer_to(WorkerRequest(id="request-1", model="tiny", model_version="1.0", **BODY), "a", "b", "c")
DELTAS = [WorkerDelta(index=0, text="a", ids=(7, 300)), WorkerDelta(index=1, text="b", ids=(40_000,))]
LAST = WorkerDelta(index=2, text="c")


@dataclass
class Gateway:
    """With a TorchServe of its own."""

    key: SecretStr | None = KEY
    inference: FakeInference = field(default_factory=lambda: FakeInference([START, *DELTAS, [LAST, DONE]]))

    async def stream(
        self, body: dict[str, object] | None = None, headers: dict[str, str] | None = None, method: str = "POST"
    ) -> httpx.Response:
        settings = Settings(cursor_key=self.key)
        app = create_app(settings, inference=self.inference, registry=ModelRegistry(FakeManagement(), None))
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="http://gateway") as client:
            return await client.request(method, "/generate/stream", json=body or BODY, headers=headers or RESUMABLE)


@pytest.fixture
async def ids() -> list[str]:
    """Of `start` and the first two deltas."""
    return ids_of(await Gateway().stream())


def ids_of(answer: httpx.Response) -> list[str]:
    return ids_in(answer.text)


def ids_in(events: str) -> list[str]:
    return [line.removeprefix("id: ") for line in events.splitlines() if line.startswith("id")]


def events_of(answer: httpx.Response) -> list[StreamEvent]:
    assert answer.status_code == 200, answer.text
    return list(EventDecoder().feed(answer.content))


def behind(cursor: str) -> dict[str, str]:
    return RESUMABLE | {"last-event-id": cursor}


async def test_events_have_ids_where_their_caller_asks_for_them(ids: list[str]) -> None:
    assert len(set(ids)) == 3
    assert ids_of(await Gateway().stream(headers={"x-request-id": "request-1"})) == []
    assert ids_of(await Gateway(key=None).stream()) == []


async def test_another_gateway_goes_on_behind_the_last_event(ids: list[str]) -> None:
    rest = Gateway(inference=FakeInference([START, WorkerDelta(index=0, text="b", ids=(40_000,)), [LAST, DONE]]))
    events = events_of(await rest.stream(headers=behind(ids[1])))
    [call], [request] = rest.inference.calls, rest.inference.requests

    assert [event.index for event in events if isinstance(event, DeltaEvent)] == [1, 2]
    assert isinstance(events[-1], DoneEvent)
    assert (call.answer_ids, request.model_version) == ((7, 300), "1.0")


async def test_the_seed_is_the_one_that_the_start_has_told() -> None:
    first = await Gateway().stream()
    start = events_of(first)[0]
    rest = Gateway()
    await rest.stream(headers=behind(ids_of(first)[-1]))

    assert isinstance(start, StartEvent)
    assert [request.seed for request in rest.inference.requests] == [start.seed]


async def test_a_stream_that_has_begun_goes_on_with_its_first_text(ids: list[str]) -> None:
    events = events_of(await Gateway().stream(headers=behind(ids[0])))

    assert [event.type for event in events] == ["delta", "delta", "delta", "done"]


async def test_the_rest_has_ids_of_the_whole(ids: list[str]) -> None:
    rest = Gateway(inference=FakeInference([START, WorkerDelta(index=0, text="b", ids=(40_000,)), [LAST, DONE]]))

    assert ids_of(await rest.stream(headers=behind(ids[1]))) == ids[2:]


def tampered(cursor: str) -> str:
    content = bytearray(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
    content[-1] ^= 1
    return base64.urlsafe_b64encode(content).decode().rstrip("=")


@pytest.mark.parametrize("what", ["tampered", "of no meaning", "no base64", "empty content", "too long"])
async def test_what_no_gateway_has_signed_is_refused(ids: list[str], what: str) -> None:
    cursor = {
        "tampered": tampered(ids[1]),
        "of no meaning": "abcd",
        "no base64": "a",
        "empty content": "A" * 22,
        "too long": "A" * 6_001,
    }[what]
    gateway = Gateway()
    answer = await gateway.stream(headers=behind(cursor))

    assert (answer.status_code, answer.json()["code"]) == (422, "invalid_request")
    assert gateway.inference.requests == []


def of_another_gateway(cursor: str, change: Callable[[list[Any]], object]) -> str:
    """With the same key, but another form of what is before the tokens."""
    content = base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4))[cursor_form._SIGNATURE_BYTES :]
    head, _, tokens = content.partition(b"\n")
    fields = json.loads(head)
    change(fields)
    content = json.dumps(fields).encode() + b"\n" + tokens
    signature = cursor_form._signature(KEY.get_secret_value().encode(), content)
    return base64.urlsafe_b64encode(signature + content).decode().rstrip("=")


@pytest.mark.parametrize("method", ["POST", "DELETE"])
@pytest.mark.parametrize(
    "change",
    [
        pytest.param(lambda fields: fields.pop(), id="a field less"),
        pytest.param(lambda fields: fields.append(5), id="a field more"),
        pytest.param(lambda fields: fields.reverse(), id="other types"),
        pytest.param(lambda fields: fields.__setitem__(-1, -1), id="a count below nothing"),
    ],
)
async def test_what_another_version_of_the_gateway_has_signed_is_refused(
    ids: list[str], change: Callable[[list[Any]], object], method: str
) -> None:
    gateway = Gateway()
    answer = await gateway.stream(headers=behind(of_another_gateway(ids[1], change)), method=method)

    assert (answer.status_code, answer.json()["code"]) == (422, "invalid_request")
    assert "another version" in answer.json()["detail"]
    assert gateway.inference.requests == []


async def test_tokens_that_there_cannot_be_are_refused(ids: list[str]) -> None:
    head, _ = cursor_form.decode_cursor(KEY.get_secret_value().encode(), ids[1])
    giant = cursor_form.encode_cursor(KEY.get_secret_value().encode(), head, cursor_form.encode_tokens([2**31]))
    answer = await Gateway().stream(headers=behind(giant.decode()))

    assert (answer.status_code, answer.json()["code"]) == (422, "invalid_request")


async def test_an_id_is_read_by_a_gateway_that_knows_more_of_requests() -> None:
    class LaterRequest(GenerationRequest):
        of_a_later_contract: int = 7

    call = Call("request-1", 0, is_resumable=True)
    cursors = Cursors(KEY)
    ids = cursors.ids(Asked(GenerationRequest.model_validate(BODY), call), None)
    assert ids is not None
    [cursor] = ids_in(ids.next(START.model_copy(update={"seed": 7}), is_end=False).decode())
    begun = cursors.begun(Asked(LaterRequest.model_validate(BODY), replace(call, last_event_id=cursor)))

    assert begun is not None
    assert begun.version == "1.0"


@pytest.mark.parametrize(
    ("gateway", "body"),
    [
        pytest.param(Gateway(OTHER_KEY), BODY, id="at a gateway with another key"),
        pytest.param(Gateway(None), BODY, id="at a gateway without one"),
        pytest.param(Gateway(), BODY | {"max_length": 7}, id="with another body"),
    ],
)
async def test_an_id_is_of_one_request_and_one_key(ids: list[str], gateway: Gateway, body: dict[str, object]) -> None:
    answer = await gateway.stream(body, headers=behind(ids[1]))

    assert (answer.status_code, answer.json()["code"]) == (422, "invalid_request")
    assert "Last-Event-ID" in answer.json()["detail"]


async def test_another_archive_does_not_go_on(ids: list[str]) -> None:
    other = FakeInference([START.model_copy(update={"model_digest": "2e"}), *DELTAS, [LAST, DONE]])
    answer = await Gateway(inference=other).stream(headers=behind(ids[1]))

    assert (answer.status_code, answer.json()["code"]) == (404, "version_not_found")


def words(*counts: int) -> list[WorkerDelta]:
    """Deltas of so many tokens."""
    return [WorkerDelta(index=index, text=" word", ids=(40_000,) * count) for index, count in enumerate(counts)]


async def test_a_long_answer_has_an_id_with_each_32nd_part() -> None:
    play = [START, *words(32, 1, 1, 31, 1, 1, 1), [LAST, DONE]]
    answer = await Gateway(inference=FakeInference(play)).stream()
    have_ids = [piece.startswith("id") for piece in answer.text.split("\n\n") if "delta" in piece]

    assert have_ids == [True, False, True, True, False, False, True, False]


async def test_ids_of_a_long_answer_take_twice_as_much_as_its_events_at_most() -> None:
    deltas = words(*[1] * 1_000)
    ids = ids_of(await Gateway(inference=FakeInference([START, *deltas, [LAST, DONE]])).stream())

    assert sum(map(len, ids)) < 2 * sum(len(encode_event(delta)) for delta in deltas)


async def test_a_stream_goes_on_behind_the_last_id_where_events_after_it_had_none() -> None:
    first = await Gateway(inference=FakeInference([START, *words(40, 1, 1), [LAST, DONE]])).stream()
    rest = Gateway(inference=FakeInference([START, *words(2), [LAST, DONE]]))
    events = events_of(await rest.stream(headers=behind(ids_of(first)[1])))

    assert [event.index for event in events if isinstance(event, DeltaEvent)] == [1, 2]
    assert [call.answer_ids for call in rest.inference.calls] == [(40_000,) * 40]


async def test_an_id_that_would_be_too_long_for_a_header_is_empty() -> None:
    long = WorkerDelta(index=0, text="a", ids=(40_000,) * 2_000)
    answer = await Gateway(inference=FakeInference([START, long, DELTAS[1], [LAST, DONE]])).stream()

    assert ids_of(answer)[1:] == ["id", "id"]


async def test_answers_whose_workers_tell_no_tokens_have_no_ids() -> None:
    older = [DeltaEvent(index=index, text="a") for index in range(2)]
    answer = await Gateway(inference=FakeInference([START, *older, [LAST, DONE]])).stream()

    assert ids_of(answer)[1:] == ["id", "id"]


async def test_logprobs_are_not_gone_on_with() -> None:
    assert ids_of(await Gateway().stream(BODY | {"logprobs": 1})) == []
