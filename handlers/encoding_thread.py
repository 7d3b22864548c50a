"""Encodes prompts beside the calls of the handler, so that no answer waits for another request's prompt."""

import logging
import threading
from collections.abc import Callable, Collection
from dataclasses import dataclass

from adapter.schema import WorkerRequest
from handlers.prompt_builder import Prompt
from handlers.watchdog import EndWorker, Watchdog, end_worker

logger = logging.getLogger(__name__)

Encode = Callable[[WorkerRequest], Prompt]


@dataclass(frozen=True, slots=True)
class EncodedPrompt:
    """The prompt of the request that TorchServe calls `request_id`."""

    request_id: str
    request: WorkerRequest
    prompt: Prompt | BaseException  # or why there is none


class EncodingThread:
    """A thread that encodes one prompt after the other, the shortest first: a long one holds up as few as can be.

    One at a time, since a prompt takes a hundred times its size while it is encoded. Those that wait take the memory of
    their text, and no more of them wait than TorchServe hands over at once.

    encode: whatever it raises ends that request alone.
    on_encoded: called in this thread after each prompt.
    longest: seconds that a prompt may take before the worker ends.
    """

    def __init__(
        self,
        encode: Encode,
        on_encoded: Callable[[], None],
        *,
        longest: float = 60.0,
        end_worker: EndWorker = end_worker,
    ) -> None:
        self._encode, self._on_encoded, self._end_worker = encode, on_encoded, end_worker
        self._watchdog = Watchdog("the encoding of a prompt", longest, end_worker)
        self._changed = threading.Condition()
        self._waiting: dict[str, WorkerRequest] = {}
        self._current: str | None = None  # None also when its request has left
        self._encoded: list[EncodedPrompt] = []
        self._is_closed = False
        self._thread = threading.Thread(target=self._run, name="prompts", daemon=True)
        self._thread.start()

    def submit(self, request_id: str, request: WorkerRequest) -> None:
        with self._changed:
            self._waiting[request_id] = request
            self._changed.notify()

    def keep_only(self, ids: Collection[str]) -> None:
        """Forgets every request that is not among `ids`."""
        with self._changed:
            for gone in self._waiting.keys() - ids:
                del self._waiting[gone]
            if self._current not in ids:
                self._current = None
            self._encoded = [encoded for encoded in self._encoded if encoded.request_id in ids]

    def take(self) -> list[EncodedPrompt]:
        """What has come since the last call."""
        self._watchdog.check()
        with self._changed:
            encoded, self._encoded = self._encoded, []
        return encoded

    def close(self) -> None:
        with self._changed:
            self._is_closed = True
            self._changed.notify()
        self._thread.join()

    def _run(self) -> None:
        try:
            while (shortest := self._next()) is not None:
                self._add(self._encode_alone(*shortest))
                self._on_encoded()
        except BaseException as error:  # noqa: BLE001 - it goes no further
            self._end_worker(f"the thread that encodes prompts cannot go on: {error!r}", error)

    def _next(self) -> tuple[str, WorkerRequest] | None:
        with self._changed:
            self._changed.wait_for(lambda: self._waiting or self._is_closed)
            if self._is_closed:
                return None
            # A conversation has all of its text in `prompt`, too.
            self._current = min(self._waiting, key=lambda request_id: len(self._waiting[request_id].prompt))
            return self._current, self._waiting.pop(self._current)

    def _encode_alone(self, request_id: str, request: WorkerRequest) -> EncodedPrompt:
        try:
            with self._watchdog.watching():
                return EncodedPrompt(request_id, request, self._encode(request))
        except BaseException as error:  # noqa: BLE001 - a panic of the tokenizers' Rust is no Exception
            return EncodedPrompt(request_id, request, error)

    def _add(self, encoded: EncodedPrompt) -> None:
        with self._changed:
            if self._current == encoded.request_id:
                self._encoded.append(encoded)
            self._current = None
