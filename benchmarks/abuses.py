"""What somebody without a key can send to a gateway: `python -m benchmarks.abuses NAME URL SHARE`.

Each abuse is of a fixed size, of which a share is sent, and ends when all of that is answered where it is answered. To
add one, write a function of the gateway's address and the share and give it a name in ABUSES.
"""

import contextlib
import json
import socket
import sys
from collections.abc import Callable, Iterator, Sequence
from urllib.parse import urlsplit

from adapter.settings import Settings

_TIMEOUT = 120  # seconds; a bound for a machine that stalls
_LARGEST_BODY: int = Settings.model_fields["max_body_bytes"].default
_SLOW_CALLERS = 200


def idle_connections(url: str, share: float) -> None:
    """More than the gateway has file descriptors for, five times."""
    for _ in _turns(5, share):
        with _connections(url, 400) as connections:
            list(map(_status, connections[:100]))  # the first ones have to give way


def slow_heads(url: str, _share: float) -> None:
    _send_slowly(url, _head("GET /livez", f"x: {'a' * 300}")[:300])


def slow_bodies(url: str, _share: float) -> None:
    _send_slowly(url, _post("/generate", b" " * 10_000)[:300])


def bodies_in_chunks_of_a_byte(url: str, share: float) -> None:
    head = _head("POST /generate", "content-type: application/json", "transfer-encoding: chunked")
    for _ in _turns(10, share):
        _volley(url, [head + b"1\r\n \r\n" * 40_000 + b"0\r\n\r\n"] * 4, {400})


def bodies_of_a_million_values(url: str, share: float) -> None:
    lists = [b"[" + value * (_LARGEST_BODY // len(value) - 2) + b"1]" for value in (b"{},", b"1,", b"1.5,")]
    names = json.dumps({f"{number:x}": 1 for number in range(_LARGEST_BODY // 18)}).encode()
    for _ in _turns(20, share):
        _volley(url, [_post("/generate", body) for body in [*lists, names] * 2], {422})


def bodies_of_long_numbers(url: str, share: float) -> None:
    numbers = b"[" + b",".join([b"9" * 4_000] * (_LARGEST_BODY // 4_100)) + b"]"
    for _ in _turns(4, share):
        _volley(url, [_post("/generate", numbers)] * 10, {422})


def large_bodies_at_once(url: str, share: float) -> None:
    """Each is JSON, within the limits of a body, and refused when all of it is read."""
    body = json.dumps({"prompt": ',"\n\\' * (_LARGEST_BODY // 7 - 100), "max_length": 0}).encode()
    for _ in _turns(8, share):
        _volley(url, [_post("/generate", body)] * 24, {422})


def requests_of_twenty_thousand_faults(url: str, share: float) -> None:
    """Half of them of OpenAI's API."""
    fields = json.dumps({"prompt": "p"} | {f"field{number}": 1 for number in range(19_900)}).encode()
    messages = json.dumps({"messages": [{}] * 19_900}).encode()
    for _ in _turns(5, share):
        _volley(url, [_post("/generate", fields), _post("/v1/chat/completions", messages)] * 4, {422})


def long_prompts(url: str, share: float) -> None:
    """Four in each body, as long as it takes."""
    body = json.dumps({"requests": [{"prompt": "word " * (_LARGEST_BODY // 20 - 100)}] * 4}).encode()
    for _ in _turns(12, share):
        _volley(url, [_post("/generate/batch", body)] * 3, {200})


def invalid_http(url: str, share: float) -> None:
    """As a scanner sends it: TLS, HTTP/2 in clear, and an upgrade to it."""
    upgrade = _head("GET /", "connection: upgrade, http2-settings", "upgrade: h2c", "http2-settings: AA")
    tries = [b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", upgrade]
    for _ in _turns(100, share):
        _volley(url, tries * 10, {307, 400, 404})


def long_addresses(url: str, share: float) -> None:
    """Each is a line of the log, which nobody reads."""
    for _ in _turns(100, share):
        _volley(url, [_head(f"GET /{'a' * 7_000}")] * 20, {404})


def strange_hosts(url: str, share: float) -> None:
    for turn in _turns(100, share):
        _volley(url, [_head("GET /models", host=f"{turn}-{number}.example") for number in range(20)], {403})


ABUSES: dict[str, Callable[[str, float], None]] = {
    abuse.__name__: abuse
    for abuse in (
        idle_connections,
        slow_heads,
        slow_bodies,
        bodies_in_chunks_of_a_byte,
        bodies_of_a_million_values,
        bodies_of_long_numbers,
        large_bodies_at_once,
        requests_of_twenty_thousand_faults,
        long_prompts,
        invalid_http,
        long_addresses,
        strange_hosts,
    )
}


def _turns(count: int, share: float) -> range:
    return range(max(1, round(count * share)))


@contextlib.contextmanager
def _connections(url: str, number: int) -> Iterator[list[socket.socket]]:
    address = urlsplit(url)
    with contextlib.ExitStack() as stack:
        yield [
            stack.enter_context(socket.create_connection((address.hostname or "", address.port or 0), _TIMEOUT))
            for _ in range(number)
        ]


def _volley(url: str, requests: Sequence[bytes], expected: set[int]) -> None:
    """All of them at once: each on its own connection, all but the last byte first, and the answers afterwards.

    Raises where a status is not an `expected` one: then it was not this abuse that was dealt with.
    """
    with _connections(url, len(requests)) as connections:
        # What is refused while it is sent is answered, and may be reset.
        for connection, request in zip(connections, requests, strict=True):
            with contextlib.suppress(ConnectionError):
                connection.sendall(request[:-1])
        for connection, request in zip(connections, requests, strict=True):
            with contextlib.suppress(ConnectionError):
                connection.sendall(request[-1:])
        statuses = set(map(_status, connections)) - {None}
    if not statuses or statuses - expected:
        raise RuntimeError(f"answered with {statuses}, and not with {expected}")


def _send_slowly(url: str, content: bytes) -> None:
    """A byte of each of many callers, in turn."""
    with _connections(url, _SLOW_CALLERS) as connections:
        for position in range(len(content)):
            for connection in connections:
                with contextlib.suppress(ConnectionError):
                    connection.sendall(content[position : position + 1])


def _status(connection: socket.socket) -> int | None:
    """Waits for the answer; None where the connection ended before it was read."""
    try:
        begin = connection.recv(2**16)
    except ConnectionError:
        return None
    return int(begin.split(b" ", 2)[1]) if begin else None


def _post(path: str, body: bytes) -> bytes:
    return _head(f"POST {path}", "content-type: application/json", f"content-length: {len(body)}") + body


def _head(request: str, *headers: str, host: str = "127.0.0.1") -> bytes:
    return "\r\n".join([f"{request} HTTP/1.1", f"host: {host}", *headers, "", ""]).encode()


def main() -> None:
    name, url, share = sys.argv[1:]
    ABUSES[name](url, float(share))


if __name__ == "__main__":
    main()
