"""A server that answers at once, in the words of our routes, of OpenAI's and of Ollama's: what is left is the client.

`python -m benchmarks.canned_gateway PORT [CERTIFICATE]`: with a file for a certificate, which it writes, over TLS.
"""

import asyncio
import json
import sys
from pathlib import Path

from adapter.event_stream import encode_event
from adapter.schema import DeltaEvent, DoneEvent, GenerationResponse, StartEvent
from benchmarks.own_certificate import server_context

PIECES = 100  # of a streamed answer
TEXT = " word"
READY = "it serves"

_START = StartEvent(id="1", model="tiny", model_version="1.0", model_digest="9f86d0", prompt_tokens=3)
_WHOLE = GenerationResponse(
    **_START.model_dump(exclude={"type"}),
    text=TEXT * PIECES,
    tokens_generated=PIECES,
    generation_time=0.25,
    finish_reason="length",
    queue_time=0.01,
    time_to_first_token=0.05,
)
_OPENAI = {"id": "cmpl-1", "object": "text_completion", "created": 1, "model": "tiny@1.0"}
_OLLAMA = {"model": "tiny", "created_at": "2026-01-01T00:00:00Z"}


def _openai(text: str, finish_reason: str | None) -> bytes:
    choice = {"index": 0, "text": text, "logprobs": None, "finish_reason": finish_reason}
    return json.dumps({**_OPENAI, "choices": [choice]}).encode()


def _ollama(text: str, *, is_last: bool) -> bytes:
    return json.dumps({**_OLLAMA, "response": text, "done": is_last}).encode()


_ANSWERS = {
    "/generate": _WHOLE.model_dump_json().encode(),
    "/v1/completions": _openai(_WHOLE.text, "length"),
    "/api/generate": _ollama(_WHOLE.text, is_last=True),
}
_DELTAS = [DeltaEvent(index=index, text=TEXT) for index in range(PIECES)]
_STREAMS = {
    "/generate/stream": [encode_event(_START), *map(encode_event, _DELTAS), encode_event(DoneEvent(response=_WHOLE))],
    "/v1/completions": [
        *(b"data: " + _openai(TEXT, None) + b"\n\n" for _ in range(PIECES)),
        b"data: " + _openai("", "length") + b"\n\ndata: [DONE]\n\n",
    ],
    "/api/generate": [_ollama(TEXT, is_last=number == PIECES) + b"\n" for number in range(1, PIECES + 1)],
}


async def _serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while head := await _head(reader):
        path = head.split(b" ", 2)[1].decode()
        headers = dict(line.lower().split(b": ", 1) for line in head.split(b"\r\n")[1:] if line)
        body = await reader.readexactly(int(headers.get(b"content-length", 0)))
        is_stream = path.endswith("/stream") or b'"stream":true' in body.replace(b" ", b"")
        if is_stream:
            kind = b"application/x-ndjson" if path.startswith("/api") else b"text/event-stream"
            writer.write(b"HTTP/1.1 200 OK\r\ncontent-type: " + kind + b"\r\ntransfer-encoding: chunked\r\n\r\n")
            for piece in _STREAMS[path]:
                writer.write(b"%x\r\n%b\r\n" % (len(piece), piece))
                await writer.drain()
            writer.write(b"0\r\n\r\n")
        else:
            answer = _ANSWERS[path]
            length = len(answer)
            writer.write(b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n" % length)
            writer.write(answer)
    writer.close()


async def _head(reader: asyncio.StreamReader) -> bytes:
    try:
        return await reader.readuntil(b"\r\n\r\n")
    except (asyncio.IncompleteReadError, ConnectionError):
        return b""


async def _main(port: int, certificate: str | None) -> None:
    context = None if certificate is None else server_context(Path(certificate))
    async with await asyncio.start_server(_serve, "127.0.0.1", port, ssl=context) as server:
        print(READY, flush=True)  # noqa: T201 - to its log
        await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(_main(int(sys.argv[1]), sys.argv[2] if len(sys.argv) > 2 else None))  # noqa: PLR2004
