"""Both clients, behind one form, so that each test holds for both."""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from types import TracebackType
from typing import Any, Self

import pytest

from adapter.client import AsyncGatewayClient, AsyncStream, GatewayClient


class DrivenStream:
    """An AsyncStream as a Stream."""

    def __init__(self, runner: asyncio.Runner, stream: AsyncStream[Any, Any]) -> None:
        self._runner = runner
        self._stream = stream

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def read(self) -> Any:
        return self._runner.run(self._stream.read())

    def close(self) -> None:
        self._runner.run(self._stream.close())

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> Any:
        async def step() -> list[Any]:
            return [event async for event in _first(self._stream)]

        events = self._runner.run(step())
        if not events:
            raise StopIteration
        return events[0]

    def __enter__(self) -> Self:
        self._runner.run(self._stream.__aenter__())
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._runner.run(self._stream.__aexit__(kind, error, traceback))


async def _first(stream: AsyncStream[Any, Any]) -> Any:
    async for event in stream:
        yield event
        return


class DrivenClient:
    """An AsyncGatewayClient as a GatewayClient."""

    def __init__(self, runner: asyncio.Runner, client: AsyncGatewayClient) -> None:
        self._runner = runner
        self._client = client

    def __repr__(self) -> str:
        return repr(self._client)

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._client, name)
        if not callable(method):
            return method

        def call(*arguments: Any, **keywords: Any) -> Any:
            made = method(*arguments, **keywords)
            return DrivenStream(self._runner, made) if isinstance(made, AsyncStream) else self._runner.run(made)

        return call


Connect = Callable[..., Any]


@pytest.fixture(params=["blocking", "asyncio"])
def connect(request: pytest.FixtureRequest) -> Iterator[Connect]:
    """Makes a client that tries nothing again, unless it is told to, and closes it at the test's end."""
    with ExitStack() as stack:
        runner = stack.enter_context(asyncio.Runner())

        def make(*address: str, **options: Any) -> Any:
            options = {"max_retries": 0, **options}
            if request.param == "blocking":
                client: Any = GatewayClient(*address, **options)
            else:
                client = DrivenClient(runner, AsyncGatewayClient(*address, **options))
            stack.callback(client.close)
            return client

        yield make
