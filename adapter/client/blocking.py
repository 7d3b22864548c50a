"""Sends, waits and reads in the calling thread. adapter/client/asynchronous.py is the same, awaited."""

import time
from collections.abc import Callable, Iterator
from itertools import count
from types import TracebackType
from typing import Generic, Self, TypeAlias, TypeVar

import httpx2

from adapter.client.answers import Head, status_error
from adapter.client.calls import Call, StreamCall
from adapter.client.errors import ConnectionFailed, StreamClosed
from adapter.client.failures import failure
from adapter.client.outgoing import LAST_WAIT, Watch, head_of, outgoing
from adapter.client.request import Request
from adapter.client.retry import retry_delay
from adapter.client.wire import Connection, Connections, Wire
from adapter.errors import TorchbridgeError

KeptConnections: TypeAlias = Connections[httpx2.Client]

Value = TypeVar("Value")
Event = TypeVar("Event")
Answer = TypeVar("Answer")


class Exchange:
    """One request and its answer, up to `close`."""

    def __init__(self, connections: KeptConnections, wire: Wire, request: Request) -> None:
        self._connections = connections
        self._wire = wire
        self._request = request
        self._watch = Watch(request)
        self._connection: Connection[httpx2.Client] | None = None
        self._response: httpx2.Response | None = None
        self._chunks: Iterator[bytes] = iter(())

    def send(self) -> Head:
        """The answer's head, if that says that it is a success."""
        self._connection = connection = self._connections.take()
        self._wire.attach(connection)
        try:
            response = connection.pool.send(outgoing(self._request, self._wire.trace), stream=True)
        except httpx2.HTTPError as error:
            raise failure(error, self._request.url) from error
        self._response, self._chunks = response, response.iter_bytes()
        head = head_of(response, self._request.url)
        self._watch.log(head)
        if head.status != httpx2.codes.OK:
            raise status_error(head, self._read_failure())
        return head

    def read(self) -> bytes:
        return b"".join(iter(self.chunk, b""))

    def chunk(self) -> bytes:
        """The next piece of the body; empty at its end."""
        try:
            chunk = next(self._chunks, b"")
        except httpx2.HTTPError as error:
            raise failure(error, self._request.url) from error
        self._watch.check()
        return chunk

    def finish(self) -> None:
        """Waits for the end of an answer of which nothing more is wanted, so that its connection can be kept."""
        if self._connection is None:
            return
        stream = self._connection.stream
        read = stream.read
        stream.read = lambda max_bytes, timeout: read(max_bytes, min(timeout, LAST_WAIT))
        try:
            self.chunk()
        except ConnectionFailed:
            return  # it has all that it wanted
        finally:
            del stream.read  # the method is there again

    def close(self) -> None:
        connection, self._connection = self._connection, None
        if connection is None:
            return
        self._wire.detach()
        if self._response is not None:
            self._response.close()
        too_many = self._connections.keep(connection)
        if too_many is not None:
            too_many.pool.close()

    def _read_failure(self) -> bytes:
        """Reads as much of the body as comes: the status says enough."""
        try:
            return self.read()
        except ConnectionFailed:
            return b""


def open_exchange(
    connections: KeptConnections, wire: Wire, request: Request, max_retries: int, pause: Callable[[float], object]
) -> tuple[Exchange, Head]:
    """Tries until the head of an answer says that it is a success. What comes after it is not tried again."""
    for num_retries in count():
        exchange = Exchange(connections, wire, request)
        try:
            return exchange, exchange.send()
        except TorchbridgeError as error:
            exchange.close()
            delay = retry_delay(error, num_retries) if num_retries < max_retries else None
            if delay is None:
                raise
        except BaseException:
            exchange.close()
            raise
        pause(delay)
    raise AssertionError  # for mypy: count() has no end


def run(call: Call[Value], connections: KeptConnections) -> Value:
    exchange, head = open_exchange(connections, Wire(), call.request, call.max_retries, time.sleep)
    try:
        return call.read(head, exchange.read())
    finally:
        exchange.close()


class Stream(Generic[Event, Answer]):
    """The events of an answer as they come, once. It asks for them when the first is wanted, or the block begins.

    A loop that ends without an error has seen the whole answer, which is then `response`. `close`, from any thread, the
    block's end and the loss of the stream end it early, and cancel the request, also on the gateway.
    """

    def __init__(self, call: StreamCall[Event, Answer], connections: KeptConnections) -> None:
        self._call = call
        self._connections = connections
        self._wire = Wire()
        self._exchange: Exchange | None = None

    @property
    def text(self) -> str:
        """What has come so far."""
        return self._call.reader.text

    @property
    def response(self) -> Answer:
        """The whole answer. Before the stream's end there is none: see `read`."""
        return self._call.reader.whole_answer()

    def read(self) -> Answer:
        """Waits for what is left, and returns the whole answer."""
        for _ in self:
            pass
        return self.response

    def close(self) -> None:
        """Ends the stream: a reader that waits for an event gets StreamClosed."""
        if self._wire.cut():
            self._leave()

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> Event:
        reader = self._call.reader
        if reader.answer is None:
            self._wire.check()
        try:
            while (event := reader.pop()) is None and reader.answer is None:
                reader.feed(self._work(self._chunk))
        except BaseException:
            self.close()
            raise
        if event is None:
            self._leave()
            raise StopIteration
        return event

    def __enter__(self) -> Self:
        self._work(self._opened)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def __del__(self) -> None:
        self.close()

    def _work(self, step: Callable[[], Value]) -> Value:
        """Does one step over the connection, and ends the connection if the step fails or the stream was cut."""
        try:
            self._wire.enter()
            try:
                done = step()
            finally:
                self._wire.leave()
            self._wire.check()  # a socket that was cut looks like the end of an answer
        except BaseException as error:
            was_cut = self._wire.is_cut.is_set()
            self.close()
            if was_cut and isinstance(error, Exception):
                raise StreamClosed from None
            raise
        return done

    def _chunk(self) -> bytes:
        exchange = self._opened()
        try:
            return exchange.chunk()
        except ConnectionFailed as error:
            raise self._call.reader.truncated() from error

    def _opened(self) -> Exchange:
        if self._exchange is None:
            request, max_retries = self._call.request, self._call.max_retries
            self._exchange, head = open_exchange(
                self._connections, self._wire, request, max_retries, self._wire.is_cut.wait
            )
            self._call.reader.begin(head)
        return self._exchange

    def _leave(self) -> None:
        exchange, self._exchange = self._exchange, None
        if exchange is None:
            return
        if self._call.reader.answer is not None:
            exchange.finish()
        exchange.close()
