"""What no TorchServe says, but a broken one, a proxy or another server at its address might: each must end well."""

import gzip

from tests.recorded_answer import Ended, RecordedAnswer

NOT_FOUND = b'{"code": 404, "type": "ModelNotFoundException", "message": "Model not found: tiny"}'
PAGE = b"<html><body>502 Bad Gateway: http://10.0.0.7:8080/opt/app/server.py</body></html>"
COMMENT = b": nothing\n\n"
ZIPPED = gzip.compress(NOT_FOUND, mtime=0)

STREAM = b"HTTP/1.1 200 \r\ncontent-type: text/event-stream\r\nx-request-id: 1\r\n"
CHUNKED = STREAM + b"transfer-encoding: chunked\r\n\r\n" + b"b\r\n" + COMMENT + b"\r\n"


def answer(raw: bytes, ended: Ended = "closed") -> RecordedAnswer:
    return RecordedAnswer("", raw, b"", ended)


def whole(status: str, content_type: str, body: bytes, *headers: str, length: int | None = None) -> bytes:
    lines = [f"HTTP/1.1 {status}", f"content-type: {content_type}", *headers]
    lines.append(f"content-length: {len(body) if length is None else length}")
    return "".join(f"{line}\r\n" for line in [*lines, ""]).encode() + body


def failure(body: bytes = NOT_FOUND, *headers: str, length: int | None = None) -> bytes:
    return whole("404 Not Found", "application/json", body, "x-request-id: 1", *headers, length=length)


JUNK = {
    "page of a proxy": answer(whole("502 Bad Gateway", "text/html", PAGE)),
    "page of a proxy, with an id": answer(whole("502 Bad Gateway", "text/html", PAGE, "x-request-id: 1")),
    "page instead of events": answer(whole("200 OK", "text/html", PAGE, "x-request-id: 1")),
    "error instead of events": answer(whole("200 ", "text/plain", b"error", "x-request-id: 1")),
    "events without an id": answer(whole("200 ", "text/event-stream", COMMENT)),
    "failure without an id": answer(whole("404 Not Found", "application/json", NOT_FOUND)),
    "no content": answer(b"HTTP/1.1 204 No Content\r\nx-request-id: 1\r\n\r\n"),
    "another protocol": answer(
        b"HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: websocket\r\nx-request-id: 1\r\n\r\n"
    ),
    "redirect": answer(whole("302 Found", "text/html", b"", "location: http://127.0.0.1:1/", "x-request-id: 1")),
    "redirect that keeps the body": answer(
        whole("307 Temporary Redirect", "text/html", b"", "location: http://127.0.0.1:1/", "x-request-id: 1")
    ),
    "failure after an interim answer": answer(b"HTTP/1.1 100 Continue\r\n\r\n" + failure()),
    "failure that is cut": answer(failure(NOT_FOUND[:40])),
    "failure that is empty": answer(failure(b"")),
    "failure without words": answer(failure(b'{"code": 404, "type": "ModelNotFoundException"}')),
    "failure that is no object": answer(failure(b'["Model not found: tiny"]')),
    "failure that is no text": answer(failure(b"\xff\xfe\x00")),
    "failure that is deep": answer(failure(b'{"message": ' + b"[" * 50_000)),
    "failure that is giant": answer(failure(b'{"message": "' + b"x" * 2**20 + b'"}')),
    "failure that is zipped": answer(failure(ZIPPED, "content-encoding: gzip")),
    "failure that is not zipped as it says": answer(failure(NOT_FOUND, "content-encoding: gzip")),
    "failure that ends too early": answer(failure(NOT_FOUND[:40], length=1_000)),
    "failure that is reset": answer(failure(NOT_FOUND[:40], length=len(NOT_FOUND)), "reset"),
    "failure of two lengths": answer(failure(NOT_FOUND, "content-length: 7")),
    "giant header": answer(failure(NOT_FOUND, "x-filler: " + "x" * 2**17)),
    "no status": answer(b"HTTP/1.1 OK\r\n\r\n"),
    "no HTTP": answer(b"220 mail.example ESMTP\r\n"),
    "a TLS alert": answer(b"\x15\x03\x03\x00\x02\x02\x46"),
    "end before the head": answer(b""),
    "end in the head": answer(b"HTTP/1.1 200 \r\ncontent-ty"),
    "reset before the head": answer(b"", "reset"),
    "reset in the head": answer(b"HTTP/1.1 200 \r\ncontent-ty", "reset"),
    "end after the head": answer(STREAM + b"transfer-encoding: chunked\r\n\r\n"),
    "reset after the head": answer(STREAM + b"transfer-encoding: chunked\r\n\r\n", "reset"),
    "end in the stream": answer(CHUNKED),
    "reset in the stream": answer(CHUNKED, "reset"),
    "end in a chunk": answer(CHUNKED + b"fff\r\n: noth"),
    "end without the last event": answer(CHUNKED + b"0\r\n\r\n"),
    "stream of HTTP/1.0": answer(STREAM.replace(b"1.1", b"1.0") + b"\r\n" + COMMENT),
    "stream that ends too early": answer(STREAM + b"content-length: 1000\r\n\r\n" + COMMENT),
    "chunk of no size": answer(CHUNKED + b"zz\r\n: nothing\r\n"),
    "chunk longer than its size": answer(CHUNKED + b"2\r\n: nothing\r\n"),
    "second answer in the stream": answer(CHUNKED + failure(), "reset"),
    "second answer after the stream": answer(CHUNKED + b"0\r\n\r\n" + failure()),
    "stream that is zipped": answer(
        STREAM + f"content-encoding: gzip\r\ncontent-length: {len(ZIPPED)}\r\n\r\n".encode() + ZIPPED
    ),
    "event that is no JSON": answer(CHUNKED + b"d\r\ndata: error\n\n\r\n0\r\n\r\n"),
    "event that is no text": answer(CHUNKED + b"9\r\ndata: \xff\n\n\r\n0\r\n\r\n"),
    "silence before the head": answer(b"", "open"),
    "silence in the head": answer(b"HTTP/1.1 200 \r\ncontent-ty", "open"),
    "silence after the head": answer(STREAM + b"transfer-encoding: chunked\r\n\r\n", "open"),
    "silence in the stream": answer(CHUNKED, "open"),
    "silence in a failure": answer(failure(NOT_FOUND[:40], length=len(NOT_FOUND)), "open"),
}
