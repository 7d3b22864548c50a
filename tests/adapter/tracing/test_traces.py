"""What a collector gets of the gateway's requests."""

import asyncio
import json
import time
from itertools import pairwise
from typing import Any

import pytest
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status

from adapter.schema import ErrorCode
from tests.adapter.tracing.gateway_over import SPAN_ID, TRACE_ID, TRACEPARENT, gateway_over
from tests.adapter.tracing.otlp_receiver import CLIENT, OTHER, SERVER, Receiver, values_of
from tests.fakes import FakeTorchServe, Turn, answer_to
from tests.waiting import wait_until

ASKED = {"prompt": "Once upon a secret", "temperature": 0, "max_length": 7, "stop": ["never"]}
REQUEST, GENERATION = "POST /generate", "text_completion tiny"


def parents(spans: dict[str, Span]) -> dict[str, str | None]:
    names = {span.span_id: name for name, span in spans.items()}
    return {name: names.get(span.parent_span_id) for name, span in spans.items()}


def attributes(span: Span) -> dict[str, Any]:
    return values_of(span.attributes)


async def die_after_the_start(turn: Turn) -> None:
    await turn.send(answer_to(turn.request, "Hello")[0])
    turn.reset()


async def test_a_call_is_one_trace_from_the_caller_to_the_decoding(
    receiver: Receiver, torchserve: FakeTorchServe
) -> None:
    async with gateway_over(torchserve) as client:
        answer = await client.post("/generate", json=ASKED, headers={"traceparent": TRACEPARENT})
    spans = receiver.trace()
    assert answer.status_code == 200
    assert {span.trace_id.hex() for span in spans.values()} == {TRACE_ID}
    assert spans[REQUEST].parent_span_id.hex() == SPAN_ID
    assert parents(spans) == {
        REQUEST: None,
        GENERATION: REQUEST,
        "cache": GENERATION,
        "admission": GENERATION,
        "torchserve": GENERATION,
        "queue": "torchserve",
        "prefill": "torchserve",
        "decode": "torchserve",
    }
    kinds = {REQUEST: SERVER, GENERATION: CLIENT, "torchserve": CLIENT}
    assert {name: span.kind for name, span in spans.items()} == {name: kinds.get(name, OTHER) for name in spans}


async def test_each_span_lies_within_its_parent_and_parts_follow_each_other(
    receiver: Receiver, torchserve: FakeTorchServe
) -> None:
    async with gateway_over(torchserve) as client:
        await client.post("/generate", json=ASKED)
    spans = receiver.trace()
    for name, parent in parents(spans).items():
        if parent is not None:
            assert spans[parent].start_time_unix_nano <= spans[name].start_time_unix_nano
            assert spans[name].end_time_unix_nano <= spans[parent].end_time_unix_nano
    order = [spans[name] for name in ("cache", "admission", "queue", "prefill", "decode")]
    for before, after in pairwise(order):
        assert before.start_time_unix_nano <= before.end_time_unix_nano <= after.start_time_unix_nano
    assert order[-1].start_time_unix_nano <= order[-1].end_time_unix_nano


async def test_spans_say_what_the_conventions_have_names_for(receiver: Receiver, torchserve: FakeTorchServe) -> None:
    async with gateway_over(torchserve) as client:
        await client.post("/generate", json=ASKED, headers={"x-request-id": "mine"})
    spans = receiver.trace()
    told = attributes(spans[REQUEST])
    assert (told["http.request.method"], told["http.route"], told["http.response.status_code"]) == (
        "POST",
        "/generate",
        200,
    )
    told = attributes(spans[GENERATION])
    assert told.pop("torchbridge.model_digest")
    reasons = told.pop("gen_ai.response.finish_reasons")
    assert [value.string_value for value in reasons.values] == ["stop"]
    assert told == {
        "gen_ai.operation.name": "text_completion",
        "gen_ai.provider.name": "torchbridge",
        "gen_ai.output.type": "text",
        "gen_ai.request.model": "tiny",
        "gen_ai.request.stream": False,
        "gen_ai.request.max_tokens": 7,
        "gen_ai.request.temperature": 0,
        "gen_ai.request.frequency_penalty": 0,
        "gen_ai.request.presence_penalty": 0,
        "gen_ai.response.id": "mine",
        "gen_ai.response.model": "tiny",
        "gen_ai.usage.input_tokens": 3,
        "gen_ai.usage.output_tokens": 2,
        "torchbridge.request_id": "mine",
        "torchbridge.attempts": 1,
        "torchbridge.cached": False,
        "torchbridge.model_version": "1.0",
    }
    assert receiver.resources[0]["service.name"] == "torchbridge"


async def test_a_failure_is_the_status_of_its_spans(receiver: Receiver, torchserve: FakeTorchServe) -> None:
    torchserve.play = die_after_the_start
    async with gateway_over(torchserve) as client:
        answer = await client.post("/generate", json=ASKED)
    wait_until(lambda: any(span.kind == SERVER for span in receiver.spans))
    assert answer.json()["code"] == ErrorCode.WORKER_DIED
    of_names: dict[str, list[Span]] = {}
    for span in receiver.spans:
        of_names.setdefault(span.name, []).append(span)
    assert len(of_names["torchserve"]) == 2, "the worker that died was tried once more"
    for span in [*of_names["torchserve"], *of_names[GENERATION]]:
        assert span.status.code == Status.STATUS_CODE_ERROR
        assert attributes(span)["error.type"] == ErrorCode.WORKER_DIED
    [request] = of_names[REQUEST]
    assert request.status.code == Status.STATUS_CODE_ERROR
    assert attributes(request)["error.type"] == "502"
    assert attributes(of_names[GENERATION][0])["torchbridge.attempts"] == 2


async def test_a_callers_own_mistake_is_no_error_of_the_server(receiver: Receiver, torchserve: FakeTorchServe) -> None:
    async with gateway_over(torchserve) as client:
        await client.post("/generate", json={"prompt": 1})
    span = receiver.trace()[REQUEST]
    assert (span.status.code, attributes(span)["http.response.status_code"]) == (Status.STATUS_CODE_UNSET, 422)


async def test_the_spans_of_a_stream_end_with_it(receiver: Receiver, torchserve: FakeTorchServe) -> None:
    may_end = asyncio.Event()

    async def play(turn: Turn) -> None:
        *first, last, done = answer_to(turn.request, "Hello", " world")
        await turn.send(*first)
        await may_end.wait()
        await turn.send(last, done)

    torchserve.play = play
    async with (
        gateway_over(torchserve) as client,
        client.stream("POST", "/generate/stream", json=ASKED) as answer,
    ):
        chunks = answer.aiter_bytes()
        assert b"Hello" in await anext(chunks)
        assert receiver.spans == []
        released_at = time.time_ns()
        may_end.set()
        async for _ in chunks:
            pass
    spans = receiver.trace()
    for name in ("POST /generate/stream", GENERATION, "torchserve", "decode"):
        assert spans[name].end_time_unix_nano > released_at
    assert spans["prefill"].end_time_unix_nano < released_at
    assert attributes(spans[GENERATION])["gen_ai.request.stream"] is True
    assert attributes(spans[GENERATION])["gen_ai.response.time_to_first_chunk"] > 0


async def test_a_stream_that_fails_in_the_middle_has_the_error(receiver: Receiver, torchserve: FakeTorchServe) -> None:
    async def play(turn: Turn) -> None:
        await turn.send(*answer_to(turn.request, "Hello", " world")[:2])
        turn.reset()

    torchserve.play = play
    async with gateway_over(torchserve) as client:
        answer = await client.post("/generate/stream", json=ASKED)
    assert "worker_died" in answer.text
    spans = receiver.trace()
    assert attributes(spans[GENERATION])["error.type"] == "worker_died"
    assert spans[GENERATION].status.code == Status.STATUS_CODE_ERROR


async def test_an_answer_of_the_cache_has_no_time_in_torchserve(receiver: Receiver, torchserve: FakeTorchServe) -> None:
    async with gateway_over(torchserve) as client:
        await client.post("/generate", json=ASKED)
        receiver.trace()
        receiver.spans.clear()
        await client.post("/generate", json=ASKED)
    spans = receiver.trace()
    assert spans.keys() == {REQUEST, GENERATION, "cache"}
    assert attributes(spans["cache"]) == {"torchbridge.cache.result": "hit"}
    assert attributes(spans[GENERATION])["torchbridge.cached"] is True


async def test_each_request_of_a_batch_is_a_generation_of_one_trace(
    receiver: Receiver, torchserve: FakeTorchServe
) -> None:
    async with gateway_over(torchserve) as client:
        await client.post("/generate/batch", json={"requests": [{"prompt": "One"}, {"prompt": "Two"}]})
    wait_until(lambda: any(span.kind == SERVER for span in receiver.spans))
    [request] = [span for span in receiver.spans if span.kind == SERVER]
    generations = [span for span in receiver.spans if span.name == GENERATION]
    assert [span.parent_span_id for span in generations] == [request.span_id] * 2
    assert len({attributes(span)["torchbridge.request_id"] for span in generations}) == 2


@pytest.mark.parametrize("traceparent", [TRACEPARENT.replace("-01", "-00")])
async def test_what_the_caller_does_not_sample_is_not_recorded(
    receiver: Receiver, torchserve: FakeTorchServe, traceparent: str
) -> None:
    async with gateway_over(torchserve) as client:
        assert (await client.post("/generate", json=ASKED, headers={"traceparent": traceparent})).is_success
    assert receiver.spans == []


async def test_probes_are_not_traced(receiver: Receiver, torchserve: FakeTorchServe) -> None:
    async with gateway_over(torchserve) as client:
        assert (await client.get("/livez")).is_success
        assert (await client.get("/metrics")).is_success
    assert receiver.spans == []


async def test_prompts_and_texts_are_in_no_trace(receiver: Receiver, torchserve: FakeTorchServe) -> None:
    async with gateway_over(torchserve) as client:
        assert "Hello" in (await client.post("/generate", json=ASKED)).text
    receiver.trace()
    told = "".join(map(str, receiver.spans))
    assert [word for word in ("secret", "Hello", "never") if word in told] == []


def without_secrets(text: str) -> str:
    return text.replace("secret", "***")


def failing(text: str) -> str:
    raise LookupError(text)


async def test_texts_that_are_asked_for_go_through_the_hook(
    receiver: Receiver, torchserve: FakeTorchServe, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT", "SPAN_ONLY")
    async with gateway_over(torchserve, trace_redaction=f"{__name__}:without_secrets") as client:
        await client.post("/generate", json=ASKED)
    told = attributes(receiver.trace()[GENERATION])
    assert json.loads(told["gen_ai.input.messages"]) == [
        {"role": "user", "parts": [{"type": "text", "content": "Once upon a ***"}]}
    ]
    assert json.loads(told["gen_ai.output.messages"]) == [
        {"role": "assistant", "parts": [{"type": "text", "content": "Hello world"}], "finish_reason": "stop"}
    ]


async def test_a_hook_that_fails_keeps_the_texts_out(
    receiver: Receiver, torchserve: FakeTorchServe, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT", "true")
    async with gateway_over(torchserve, trace_redaction=f"{__name__}:failing") as client:
        assert (await client.post("/generate", json=ASKED)).is_success
    told = attributes(receiver.trace()[GENERATION])
    assert "gen_ai.usage.output_tokens" in told
    assert [name for name in told if name.endswith("messages")] == []
