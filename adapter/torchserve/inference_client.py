"""TorchServe's inference API: one request in, its events out. Nothing that comes back is trusted."""

import asyncio
import math
import time
from collections.abc import Callable
from contextlib import suppress
from functools import lru_cache, partial
from typing import Self
from urllib.parse import quote

import aiohttp
from pydantic import TypeAdapter
from yarl import URL

from adapter.call import Arrivals, Call
from adapter.errors import (
    KeyRefused,
    ModelNotFound,
    TorchbridgeError,
    UpstreamLost,
    UpstreamProtocol,
    UpstreamUnavailable,
    VersionNotFound,
    WorkerDied,
    WorkerSilent,
)
from adapter.schema import DoneEvent, GenerationRequest, WorkerRequest
from adapter.settings import Settings
from adapter.stop_pipe import write_stop
from adapter.torchserve.error_answers import error_from_answer
from adapter.torchserve.keys import KeyFile
from adapter.torchserve.refreshing import Refreshing
from adapter.torchserve.worker_answer import WorkerAnswer
from adapter.torchserve.worker_search import while_found
from adapter.torchserve.worker_watch import CUT, SECONDS_BETWEEN_LOOKS, FindWorkers, WorkerWatch

_CONNECT_TIMEOUT = 5.0  # seconds
_KEY_REFRESH_AFTER = 1.0  # seconds
_KEY_USABLE_FOR = 60.0  # seconds; a key that TorchServe refuses is read again in any case
_FAILURE_TIMEOUT = 5.0  # seconds; a failure comes in one piece
_MAX_FAILURE_BYTES = 2**16
_REMEMBERED_URLS = 256
_EVENT_STREAM = "text/event-stream"
_OK, _FIRST_FAILURE, _TOO_LARGE = 200, 400, 413
_WORKER_REQUEST = TypeAdapter(WorkerRequest)  # dumps bytes: a model's own method makes a text of the body first


class InferenceClient:
    """It is open inside of `async with`.

    `find_workers` gets a model and a version that are silent: it returns the workers that are ready now, and raises
    where there are none. A request that waits in TorchServe's queue is as silent as one that nobody will ever take
    from there, and an answer that is slow as one that TorchServe forgot when its worker died.

    `wait_for_workers` does the same, but waits for those that are expected back: what was not sent is not lost.
    `is_queue_empty` says whether nothing waits in TorchServe's queue for this model and version, as those two have
    heard last. Without it a request that TorchServe has forgotten waits until a later one has its answer. `has_workers`
    says in the same way whether one is ready: before, nothing is sent, as that queue keeps the place of who leaves.
    """

    def __init__(
        self,
        settings: Settings,
        keys: KeyFile,
        find_workers: FindWorkers,
        wait_for_workers: FindWorkers | None = None,
        *,
        is_queue_empty: Callable[[str, str], bool] = lambda *_: False,
        has_workers: Callable[[str, str], bool] = lambda *_: True,
    ) -> None:
        self._settings = settings
        self._keys = keys
        self._wait_for_workers = wait_for_workers or find_workers
        self._is_queue_empty = is_queue_empty
        self._has_workers = has_workers
        self._watch = WorkerWatch(find_workers)
        self._heard_at: dict[tuple[str, str], float] = {}  # time.monotonic(), by model and version
        self._taken_up_to: dict[tuple[str, str], float] = {}  # when the last one was sent that a worker has taken
        self._key = Refreshing(keys.inference_key, _KEY_REFRESH_AFTER)

    async def __aenter__(self) -> Self:
        self._session = aiohttp.ClientSession(
            # One request per connection: an unasked-for answer on a kept one would pass for the next request's.
            connector=aiohttp.TCPConnector(limit=0, force_close=True),
            cookie_jar=aiohttp.DummyCookieJar(),
            skip_auto_headers=("user-agent", "accept-encoding"),
            auto_decompress=False,
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=_CONNECT_TIMEOUT),
        )
        return self

    async def __aexit__(self, *exception: object) -> None:
        await self._watch.aclose()
        await self._session.close()

    async def stream(self, request: GenerationRequest, call: Call) -> Arrivals:
        """The worker's events up to and with `done`, in lists of what came together; every other end is an exception.

        `request` names its model and version. Closing the generator stops the request at once: its worker hears of it,
        and TorchServe by the connection that closes.
        """
        version = request.model or "", request.model_version or ""
        answer, response = await self._ask(request, call)
        del request  # answers may last
        is_done = False
        try:
            while chunk := await self._read(response, version):
                for events in answer.feed(chunk):
                    self._heard_at[version] = time.monotonic()
                    is_done = isinstance(events[-1], DoneEvent)
                    yield events
                    if is_done:
                        return
                    events.clear()  # the next may be long in coming, and every generator on its way has the list
        finally:
            response.close()
            if not is_done:
                write_stop(self._settings.compilations, version[0], response.headers["x-request-id"])
        raise WorkerDied(CUT, cause="the answer ended without a last event")

    def heard_at(self, model: str, version: str) -> float:
        """When the last event of this version came, in time.monotonic()."""
        return self._heard_at.get((model, version), -math.inf)

    async def _ask(self, request: GenerationRequest, call: Call) -> tuple[WorkerAnswer, aiohttp.ClientResponse]:
        said = {name: getattr(request, name) for name in request.model_fields_set}
        own = {"id": call.request_id, "stream": call.is_streamed}
        if call.answer_ids:
            own["answer_ids"] = call.answer_ids
        worker_request = WorkerRequest.model_validate(said | own)
        response = await self._send(worker_request)
        return WorkerAnswer(worker_request, call.received_at, call.timeline.last_attempt), response

    async def _read(self, response: aiohttp.ClientResponse, version: tuple[str, str]) -> bytes:
        silence_timeout = self._settings.silence_timeout
        try:
            if chunk := response.content.read_nowait():  # a short answer has come with its head
                return chunk
            try:
                async with asyncio.timeout(min(SECONDS_BETWEEN_LOOKS, silence_timeout)):
                    return await response.content.readany()
            except TimeoutError:
                if (remaining := silence_timeout - SECONDS_BETWEEN_LOOKS) <= 0:
                    raise
            return await self._watch.unless_gone(response.content.readany(), version, remaining)
        except TimeoutError as error:
            raise WorkerSilent("The model server has been silent for too long.", cause="no event") from error
        except aiohttp.ClientError as error:
            raise WorkerDied(CUT, cause=_reason(error)) from error

    async def _send(self, request: WorkerRequest) -> aiohttp.ClientResponse:
        model, version = request.model or "", request.model_version or ""
        if not self._has_workers(model, version):
            await self._wait_for_workers(model, version)
        try:
            return await self._send_now(request)
        except UpstreamLost:
            raise
        except (UpstreamUnavailable, ModelNotFound, VersionNotFound) as failure:
            # TorchServe may be being started again, and then gets its versions back one after the other.
            try:
                await self._wait_for_workers(model, version)
            except TorchbridgeError:
                raise failure from None
        return await self._send_now(request)

    async def _send_now(self, request: WorkerRequest) -> aiohttp.ClientResponse:
        # Fields that the caller left out are not sent: the archive may be older than them.
        body = _WORKER_REQUEST.dump_json(request, exclude_unset=True, exclude_none=True)
        key = await self._key.get(_KEY_USABLE_FOR)
        try:
            return await self._post(request, body, key)
        except KeyRefused:
            await asyncio.to_thread(self._keys.renew, "inference", key)
            return await self._post(request, body, await self._key.reload())

    async def _post(self, request: WorkerRequest, body: bytes, key: str) -> aiohttp.ClientResponse:
        """Returns an answer that holds events, or raises."""
        headers = {
            "authorization": f"Bearer {key}",
            "content-type": "application/json",
            "accept": _EVENT_STREAM,
            # Asked to close, TorchServe would end even a good answer with a reset (SO_LINGER 0, ModelServer.java:334).
            "connection": "keep-alive",
        }
        try:
            response = await self._begin(request, body, headers)
        except (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError) as error:
            raise UpstreamUnavailable("The model server cannot be reached.", cause=_reason(error)) from error
        except aiohttp.ClientConnectionError as error:
            raise UpstreamLost("The model server was lost on this request.", cause=_reason(error)) from error
        except aiohttp.ClientError as error:
            raise UpstreamProtocol("The model server's answer is not HTTP.", cause=_reason(error)) from error
        if response.status == _OK and "x-request-id" in response.headers and response.content_type == _EVENT_STREAM:
            return response
        raise await _failure(response)

    async def _begin(self, request: WorkerRequest, body: bytes, headers: dict[str, str]) -> aiohttp.ClientResponse:
        version = request.model or "", request.model_version or ""
        url = prediction_url(self._settings.torchserve_url, *version)
        sent_at = time.monotonic()
        find = partial(self._wait_for_workers, *version)
        is_out_of_queue = partial(self._is_out_of_queue, version, sent_at)
        async with while_found(find, self._settings.silence_timeout, is_out_of_queue):
            response = await self._session.post(url, data=body, headers=headers, allow_redirects=False)
        if response.status == _OK:
            self._taken_up_to[version] = max(sent_at, self._taken_up_to.get(version, -math.inf))
        return response

    def _is_out_of_queue(self, version: tuple[str, str], sent_at: float) -> bool:
        """Whether a request that was sent then is not in TorchServe's queue any more, where none overtakes another."""
        return self._taken_up_to.get(version, -math.inf) > sent_at or self._is_queue_empty(*version)


@lru_cache(_REMEMBERED_URLS)
def prediction_url(torchserve_url: str, model: str, version: str) -> URL:
    # Quoted and then taken as it is: no name can leave /predictions, whatever was let through before.
    return URL(f"{torchserve_url}/predictions/{quote(model, safe='')}/{quote(version, safe='')}", encoded=True)


async def _failure(response: aiohttp.ClientResponse) -> TorchbridgeError:
    try:
        body = await _read_failure(response)
    finally:
        response.close()
    # TorchServe gives each answer an id, but for the 413 of its HTTP library (ServerInitializer.java:63).
    if response.status < _FIRST_FAILURE or ("x-request-id" not in response.headers and response.status != _TOO_LARGE):
        cause = f"{response.status} {response.content_type} of {len(body)} bytes"
        return UpstreamProtocol("The model server's answer is not one of its own.", cause=cause)
    return error_from_answer(response.status, body)


async def _read_failure(response: aiohttp.ClientResponse) -> bytes:
    body = b""
    # TorchServe resets the connection after a failure: what has arrived until then is what there is.
    with suppress(aiohttp.ClientError, TimeoutError):
        async with asyncio.timeout(_FAILURE_TIMEOUT):
            async for chunk in response.content.iter_any():
                body += chunk
                if len(body) > _MAX_FAILURE_BYTES:
                    break
    return body


def _reason(error: aiohttp.ClientError) -> str:
    # Not its repr: that of an answer that is no HTTP shows the request's headers, and the key among them.
    return f"{type(error).__name__}: {error!s:.500}"
