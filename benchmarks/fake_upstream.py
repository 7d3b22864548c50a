"""A model server that costs nearly nothing, for measuring what stands in front of it.

One process answers TorchServe's inference and management dialects and OpenAI's chat completions, from bytes that are
encoded beforehand where they do not hold the request's own id. It is a protocol of asyncio and no framework, as
aiohttp's server would cost as much as the gateways that are measured. Each event is a write of its own, as
TorchServe's are, and none waits for the one before.

    python -m benchmarks.fake_upstream PORT
"""

import asyncio
import json
import re
import sys
from functools import cache
from typing import Any

from adapter.simulator.management import description

TEXTS = (" tick", " tock")  # in turn, as LiteLLM ends a stream that says the same a hundred times
HOLD = "hold"  # as a prompt: the first text comes, and nothing after it
MODEL, VERSION = "tiny", "1.0"
_DIGEST = "0" * 64
_SLOTS = 4_096
_BACKLOG = 2_048

_CONTENT_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
_HEAD_END = b"\r\n\r\n"
_LAST_CHUNK = b"0\r\n\r\n"
_STREAM_HEAD = (
    b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream; charset=utf-8\r\nx-request-id: 1\r\n"
    b"transfer-encoding: chunked\r\n\r\n"
)


class _Connection(asyncio.Protocol):
    def __init__(self) -> None:
        self._received = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)  # noqa: S101 - what a TCP server gives
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._received += data
        while (head_end := self._received.find(_HEAD_END)) >= 0:
            head = self._received[:head_end]
            length = _CONTENT_LENGTH.search(head)
            end = head_end + len(_HEAD_END) + (int(length[1]) if length else 0)
            if len(self._received) < end:
                return
            body = self._received[head_end + len(_HEAD_END) : end]
            self._received = self._received[end:]
            for piece in _answer(head.split(b" ", 2)[1].decode(), body):
                self._transport.write(piece)


def _answer(path: str, body: bytes) -> list[bytes]:
    """The pieces of a whole HTTP answer, in order."""
    if path.startswith("/predictions/"):
        return _predict(json.loads(body))
    if path.endswith("/chat/completions"):
        return _complete(json.loads(body))
    return [_describe(path.partition("?")[0])]


def _predict(request: dict[str, Any]) -> list[bytes]:
    pinned = {"id": request["id"], "model": MODEL, "model_version": VERSION, "model_digest": _DIGEST}
    start = _event({"type": "start", "prompt_tokens": 3, **pinned})
    if request["prompt"] == HOLD:
        return [_STREAM_HEAD, start, *_deltas(1)]
    length = request["max_length"]
    response = {
        "text": _whole(length),
        "tokens_generated": length,
        "generation_time": 0.001,
        "finish_reason": "stop",
        "prompt_tokens": 3,
        "queue_time": 0,
        "time_to_first_token": 0,
        **pinned,
    }
    pieces = [_STREAM_HEAD, start, *_deltas(length), _event({"type": "done", "response": response}) + _LAST_CHUNK]
    return pieces if length > 1 else [b"".join(pieces)]


def _complete(request: dict[str, Any]) -> list[bytes]:
    if request["messages"][-1]["content"] == HOLD:
        return [_STREAM_HEAD, *_chat_chunks(1)[:2]]
    length = request.get("max_tokens") or request["max_completion_tokens"]
    return [_STREAM_HEAD, *_chat_chunks(length)] if request.get("stream") else [_chat(length)]


def _text(index: int) -> str:
    return TEXTS[index % len(TEXTS)]


def _whole(length: int) -> str:
    return "".join(map(_text, range(length)))


@cache
def _deltas(length: int) -> list[bytes]:
    return [_event({"type": "delta", "index": index, "text": _text(index)}) for index in range(length)]


@cache
def _chat_chunks(length: int) -> list[bytes]:
    shared = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "model": MODEL}
    deltas: list[tuple[dict[str, str], str | None]] = [({"role": "assistant", "content": ""}, None)]
    deltas += [({"content": _text(index)}, None) for index in range(length)]
    deltas += [({}, "stop")]
    chunks = [
        _event({**shared, "choices": [{"index": 0, "delta": delta, "finish_reason": reason}]})
        for delta, reason in deltas
    ]
    return [*chunks, _chunk(b"data: [DONE]\n\n") + _LAST_CHUNK]


@cache
def _chat(length: int) -> bytes:
    choice = {"index": 0, "message": {"role": "assistant", "content": _whole(length)}, "finish_reason": "stop"}
    usage = {"prompt_tokens": 3, "completion_tokens": length, "total_tokens": 3 + length}
    shared = {"id": "chatcmpl-1", "object": "chat.completion", "created": 1, "model": MODEL}
    return _json({**shared, "choices": [choice], "usage": usage})


@cache
def _describe(path: str) -> bytes:
    if path == "/models":
        return _json({"models": [{"modelName": MODEL, "modelUrl": f"{MODEL}.mar"}]})
    described = description(MODEL, VERSION, are_ready=[True], slots=_SLOTS)
    return _json([described.model_dump(by_alias=True)])


def _json(value: object) -> bytes:
    content = json.dumps(value).encode()
    head = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nx-request-id: 1\r\ncontent-length: %d\r\n\r\n"
    return head % len(content) + content


def _event(value: object) -> bytes:
    return _chunk(b"data: " + json.dumps(value).encode() + b"\n\n")


def _chunk(content: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(content), content)


async def _serve(port: int) -> None:
    server = await asyncio.get_running_loop().create_server(_Connection, "127.0.0.1", port, backlog=_BACKLOG)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(_serve(int(sys.argv[1])))
