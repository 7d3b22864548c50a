import asyncio
import os
from collections.abc import Sequence
from types import TracebackType
from typing import Any, Self, TypeVar, Unpack, overload

import httpx2

from adapter.client.asynchronous import AsyncStream, KeptConnections, run
from adapter.client.chat import ChatDelta, ChatResponse
from adapter.client.configured import Configured
from adapter.client.events import TextEvent
from adapter.client.fields import CallOptions, ChatCall, GenerationCall, GenerationFields
from adapter.client.outgoing import LIMITS, tls_context
from adapter.client.wire import Connections
from adapter.schema import GenerationResponse, Health, ModelList, Problem

Value = TypeVar("Value")


class AsyncGatewayClient(Configured):
    """GatewayClient for asyncio. A task that is cancelled cancels its request, also on the gateway.

    Connections belong to the event loop that runs: another one, as of a second `asyncio.run`, gets its own.
    """

    async def generate_text(self, **request: Unpack[GenerationCall]) -> GenerationResponse:
        """Generates a text and waits for the whole of it."""
        return await run(self._calls.generate_text(request), self._connections)

    def stream_text(self, **request: Unpack[GenerationCall]) -> AsyncStream[TextEvent, GenerationResponse]:
        """Generates a text and gives it as it comes: one `start`, any number of `delta`, one `done`."""
        return AsyncStream(self._calls.stream_text(request), self._connections)

    async def generate_batch(
        self, requests: Sequence[GenerationFields], **options: Unpack[CallOptions]
    ) -> tuple[GenerationResponse | Problem, ...]:
        """An answer for each request, in their order, or the problem that there was with it."""
        return await run(self._calls.generate_batch(requests, options), self._connections)

    async def chat(self, **request: Unpack[ChatCall]) -> ChatResponse:
        """Goes on with a conversation, through the model's own chat template."""
        return await run(self._calls.chat(request), self._connections)

    def stream_chat(self, **request: Unpack[ChatCall]) -> AsyncStream[ChatDelta, ChatResponse]:
        """Goes on with a conversation, and gives what the assistant says as it comes."""
        return AsyncStream(self._calls.stream_chat(request), self._connections)

    @overload
    async def generate_object(self, *, schema: type[Value], **request: Unpack[GenerationCall]) -> Value: ...
    @overload
    async def generate_object(self, *, schema: type[Value], **request: Unpack[ChatCall]) -> Value: ...
    async def generate_object(self, *, schema: type[Value], **request: Any) -> Value:
        """Generates JSON for a `prompt` or `messages`, and gives the instance: schema is a Pydantic model or its like.

        Raises ObjectTruncated where there were too few tokens, ObjectInvalid where the model's own checks refuse it.
        """
        return await run(self._calls.generate_object(schema, request), self._connections)

    async def models(self, **options: Unpack[CallOptions]) -> ModelList:
        """The models that the gateway serves, and their versions."""
        return await run(self._calls.models(options), self._connections)

    async def live(self, **options: Unpack[CallOptions]) -> Health:
        """Whether the gateway runs. This and `health` are tried again only where the call's `max_retries` says so."""
        return await run(self._calls.live(options), self._connections)

    async def health(self, **options: Unpack[CallOptions]) -> Health:
        """Whether the default model can answer now. Where it cannot, the exception says why."""
        return await run(self._calls.health(options), self._connections)

    async def close(self) -> None:
        """Ends the connections that are kept. It can be used after that, too."""
        for connection in self._connections.take_all():
            await connection.pool.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.close()

    def _set_up(self) -> None:
        trust_env = self._trust_env
        tls = tls_context(self.base_url, trust_env=trust_env)
        self._connections: KeptConnections = Connections(
            lambda: httpx2.AsyncClient(verify=tls, limits=LIMITS, trust_env=trust_env),
            lambda: (os.getpid(), asyncio.get_running_loop()),
        )
