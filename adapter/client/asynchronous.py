"""Sends, waits and reads in the calling task. adapter/client/blocking.py is the same, in a thread."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
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

KeptConnections: TypeAlias = Connections[httpx2.AsyncClient]

Value = TypeVar("Value")
Event = TypeVar("Event")
Answer = TypeVar("Answer")


class AsyncExchange:
    """One request and its answer, up to `close`."""

    def __init__(self, connections: KeptConnections, wire: Wire, request: Request) -> None:
        self._connections = connections
        self._wire = wire
        self._request = request
        self._watch = Watch(request)
        self._connection: Connection[httpx2.AsyncClient] | None = None
        self._response: httpx2.Response | None = None
        self._chunks: AsyncIterator[bytes]

    async def send(self) -> Head:
        """The answer's head, if that says that it is a success."""
        self._connection = connection = self._connections.take()
        self._wire.attach(connection)
        try:
            response = await connection.pool.send(outgoing(self._request, self._wire.trace_async), stream=True)
        except httpx2.HTTPError as error:
            raise failure(error, self._request.url) from error
        self._response, self._chunks = response, response.aiter_bytes()
        head = head_of(response, self._request.url)
        self._watch.log(head)
        if head.status != httpx2.codes.OK:
            raise status_error(head, await self._read_failure())
        return head

    async def read(self) -> bytes:
        chunks = []
        while chunk := await self.chunk():
            chunks.append(chunk)
        return b"".join(chunks)

    async def chunk(self) -> bytes:
        """The next piece of the body; empty at its end."""
        try:
            chunk = await anext(self._chunks, b"")
        except httpx2.HTTPError as error:
            raise failure(error, self._request.url) from error
        self._watch.check()
        return chunk

    async def finish(self) -> None:
        """Waits for the end of an answer of which nothing more is wanted, so that its connection can be kept."""
        try:
            async with asyncio.timeout(LAST_WAIT):
                await self.chunk()
        except (ConnectionFailed, TimeoutError):
            return  # it has all that it wanted

    async def close(self) -> None:
        connection, self._connection = self._connection, None
        if connection is None:
            return
        self._wire.detach()
        if self._response is not None:
            await self._response.aclose()
        too_many = self._connections.keep(connection)
        if too_many is not None:
            await too_many.pool.aclose()

    async def _read_failure(self) -> bytes:
        """Reads as much of the body as comes: the status says enough."""
        try:
            return await self.read()
        except ConnectionFailed:
            return b""


async def open_exchange(
    connections: KeptConnections,
    wire: Wire,
    request: Request,
    max_retries: int,
    pause: Callable[[float], Awaitable[object]],
) -> tuple[AsyncExchange, Head]:
    """Tries until the head of an answer says that it is a success. What comes after it is not tried again."""
    for num_retries in count():
        exchange = AsyncExchange(connections, wire, request)
        try:
            return exchange, await exchange.send()
        except TorchbridgeError as error:
            await exchange.close()
            delay = retry_delay(error, num_retries) if num_retries < max_retries else None
            if delay is None:
                raise
        except BaseException:
            await exchange.close()
            raise
        await pause(delay)
    raise AssertionError  # for mypy: count() has no end


async def run(call: Call[Value], connections: KeptConnections) -> Value:
    exchange, head = await open_exchange(connections, Wire(), call.request, call.max_retries, asyncio.sleep)
    try:
        return call.read(head, await exchange.read())
    finally:
        await exchange.close()


class AsyncStream(Generic[Event, Answer]):
    """The events of an answer as they come, once. It asks for them when the first is wanted, or the block begins.

    A loop that ends without an error has seen the whole answer, which is then `response`. `close`, from any task of the
    event loop, the block's end and the loss of the stream end it early, and cancel the request, also on the gateway.
    """

    def __init__(self, call: StreamCall[Event, Answer], connections: KeptConnections) -> None:
        self._call = call
        self._connections = connections
        self._wire = Wire()
        self._is_cut = asyncio.Event()
        self._exchange: AsyncExchange | None = None

    @property
    def text(self) -> str:
        """What has come so far."""
        return self._call.reader.text

    @property
    def response(self) -> Answer:
        """The whole answer. Before the stream's end there is none: see `read`."""
        return self._call.reader.whole_answer()

    async def read(self) -> Answer:
        """Waits for what is left, and returns the whole answer."""
        async for _ in self:
            pass
        return self.response

    async def close(self) -> None:
        """Ends the stream: a reader that waits for an event gets StreamClosed."""
        self._is_cut.set()
        if self._wire.cut():
            await self._leave()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Event:
        reader = self._call.reader
        if reader.answer is None:
            self._wire.check()
        try:
            while (event := reader.pop()) is None and reader.answer is None:
                reader.feed(await self._work(self._chunk))
        except BaseException:
            await self.close()
            raise
        if event is None:
            await self._leave()
            raise StopAsyncIteration
        return event

    async def __aenter__(self) -> Self:
        await self._work(self._opened)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.close()

    def __del__(self) -> None:
        self._wire.give_up()

    async def _work(self, step: Callable[[], Awaitable[Value]]) -> Value:
        """Does one step over the connection, and ends the connection if the step fails or the stream was cut."""
        try:
            self._wire.enter()
            try:
                done = await step()
            finally:
                self._wire.leave()
            self._wire.check()  # a socket that was cut looks like the end of an answer
        except BaseException as error:
            was_cut = self._wire.is_cut.is_set()
            await self.close()
            if was_cut and isinstance(error, Exception):
                raise StreamClosed from None
            raise
        return done

    async def _chunk(self) -> bytes:
        exchange = await self._opened()
        try:
            return await exchange.chunk()
        except ConnectionFailed as error:
            raise self._call.reader.truncated() from error

    async def _opened(self) -> AsyncExchange:
        if self._exchange is None:
            request, max_retries = self._call.request, self._call.max_retries
            self._exchange, head = await open_exchange(self._connections, self._wire, request, max_retries, self._pause)
            self._call.reader.begin(head)
        return self._exchange

    async def _pause(self, seconds: float) -> None:
        """Waits until the time is over, or the stream is closed."""
        try:
            async with asyncio.timeout(seconds):
                await self._is_cut.wait()
        except TimeoutError:
            return

    async def _leave(self) -> None:
        exchange, self._exchange = self._exchange, None
        if exchange is None:
            return
        if self._call.reader.answer is not None:
            await exchange.finish()
        await exchange.close()
