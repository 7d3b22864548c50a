import json

import pytest

from adapter import errors
from adapter.client import ChatDelta, ChatResponse, Message, StreamTruncated
from adapter.schema import DeltaEvent, ErrorCode, Problem, StartEvent
from adapter.simulator.telling import MODEL_DIGEST
from tests.adapter.client.conftest import Connect
from tests.adapter.fake_gateway import answers, fake_gateway
from tests.fakes import FakeInference

MESSAGES: list[Message] = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Hello"}]
ANSWER = ChatResponse(
    text="Hello world",
    tokens_generated=2,
    id="story-1",
    model="tiny",
    model_version="1.0",
    model_digest=MODEL_DIGEST[:12],
    finish_reason="stop",
    prompt_tokens=3,
)
HEAD = {"id": "chatcmpl-1", "model": "tiny@1.0", "system_fingerprint": "fp_1", "object": "chat.completion.chunk"}


def chunk(content: str | None = None, finish_reason: str | None = None, **more: object) -> bytes:
    choice = {"index": 0, "delta": {"content": content}, "finish_reason": finish_reason}
    return b"data: " + json.dumps({**HEAD, "choices": [choice], **more}).encode() + b"\n\n"


def test_a_chat_is_answered_with_who_answered(address: str, connect: Connect, inference: FakeInference) -> None:
    answer = connect(address).chat(messages=MESSAGES, max_length=20, request_id="story-1")
    assert answer == ANSWER
    [request] = inference.requests
    assert [message.model_dump(exclude_unset=True) for message in request.messages] == MESSAGES
    assert request.max_length == 20


def test_a_chat_that_is_streamed_is_the_same_answer(address: str, connect: Connect) -> None:
    with connect(address).stream_chat(messages=MESSAGES, request_id="story-1") as stream:
        assert list(stream) == [ChatDelta(text="Hello"), ChatDelta(text=" world")]
        assert stream.response == ANSWER
        assert stream.text == ANSWER.text


def test_a_chat_is_sent_in_the_words_of_its_route(connect: Connect) -> None:
    with fake_gateway(answers(422, {"detail": "no"})) as gateway:
        with pytest.raises(errors.UpstreamProtocol):
            connect(gateway.url).chat(
                messages=MESSAGES,
                max_length=20,
                min_length=2,
                model="tiny",
                model_version="1.0",
                top_p=None,
                stop="a",
                timeout=1,
            )
        [exchange] = gateway.exchanges
    assert exchange.target == "POST /v1/chat/completions"
    body = {"messages": MESSAGES, "max_completion_tokens": 20, "min_tokens": 2, "model": "tiny@1.0", "stop": "a"}
    assert json.loads(exchange.body) == body


def test_a_version_without_its_model_is_refused_before_it_is_sent(connect: Connect) -> None:
    with fake_gateway(answers(200, {})) as gateway, pytest.raises(errors.InvalidRequest) as raised:
        connect(gateway.url).chat(messages=MESSAGES, model_version="1.0")
    assert [error.field for error in raised.value.errors] == ["model"]
    assert gateway.exchanges == []


def test_a_chat_that_fails_is_the_exception_of_its_code(address: str, connect: Connect) -> None:
    client = connect(address)
    with pytest.raises(errors.ModelNotFound, match="There is no model 'nix'"):
        client.chat(messages=MESSAGES, model="nix")
    with pytest.raises(errors.ModelNotFound), client.stream_chat(messages=MESSAGES, model="nix"):
        pass


def test_a_chat_that_fails_in_its_stream_is_the_exception_of_its_code(
    address: str, connect: Connect, inference: FakeInference
) -> None:
    start = StartEvent(id="1", model="tiny", model_version="1.0", model_digest=MODEL_DIGEST, prompt_tokens=3)
    inference.script = [start, DeltaEvent(index=0, text="Hello"), errors.GenerationFailed("It failed.")]
    stream = connect(address).stream_chat(messages=MESSAGES)
    with pytest.raises(errors.GenerationFailed, match="It failed"):
        list(stream)
    assert stream.text == "Hello"


@pytest.mark.parametrize("ending", [b"", chunk("!", "stop"), b"data: [DON"])
def test_a_chat_that_ends_before_done_is_truncated_and_keeps_its_text(connect: Connect, ending: bytes) -> None:
    with (
        fake_gateway(lambda exchange: exchange.begin_stream(chunk("Once"), ending)) as gateway,
        pytest.raises(StreamTruncated) as raised,
    ):
        list(connect(gateway.url).stream_chat(messages=MESSAGES))
    assert raised.value.text.startswith("Once")


@pytest.mark.parametrize(
    "wire",
    [
        b"data: [DONE]\n\n",
        b"data: 17\n\n",
        chunk("Once") + b"data: [DONE]\n\n",
        b'data: {"error": {"message": "of another server"}}\n\n',
    ],
    ids=["nothing but an end", "no chunk", "an end without a reason", "an error that is not ours"],
)
def test_a_chunk_that_is_not_the_gateways_is_a_protocol_failure(connect: Connect, wire: bytes) -> None:
    with (
        fake_gateway(lambda exchange: exchange.begin_stream(wire)) as gateway,
        pytest.raises(errors.UpstreamProtocol, match="the stream is not the gateway's"),
    ):
        list(connect(gateway.url).stream_chat(messages=MESSAGES))


@pytest.mark.parametrize("body", ["<html>", {"choices": []}, HEAD | {"choices": []}])
def test_an_answer_that_is_not_the_gateways_is_a_protocol_failure(connect: Connect, body: object) -> None:
    with fake_gateway(answers(200, body)) as gateway, pytest.raises(errors.UpstreamProtocol):
        connect(gateway.url).chat(messages=MESSAGES)


def test_a_problem_in_openais_form_keeps_all_that_it_says(connect: Connect) -> None:
    problem = Problem.of(ErrorCode.OVERLOADED, "busy", retry_after=7, request_id="1")
    sent = {**problem.model_dump(), "error": {"message": "busy", "type": "server_error", "param": None, "code": "x"}}
    wire = f"data: {json.dumps(sent)}\n\n".encode()
    with (
        fake_gateway(lambda exchange: exchange.begin_stream(chunk("Once"), wire)) as gateway,
        pytest.raises(errors.Overloaded) as raised,
    ):
        list(connect(gateway.url).stream_chat(messages=MESSAGES))
    assert raised.value.problem == problem
