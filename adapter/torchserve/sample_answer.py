"""An answer to show when the stack has started: TorchServe's own, which is no caller's and is counted nowhere."""

import asyncio
import time
from collections.abc import Callable, Iterator
from contextlib import aclosing
from queue import SimpleQueue
from threading import Thread

from adapter.call import Call
from adapter.schema import DeltaEvent, GenerationRequest
from adapter.settings import Settings
from adapter.torchserve.inference_client import InferenceClient
from adapter.torchserve.keys import KeyFile
from adapter.torchserve.model_registry import ModelRegistry

SAMPLE_PROMPT = "Once upon a time"


def sample_answer(settings: Settings, keys: KeyFile, registry: ModelRegistry) -> Iterator[str]:
    """An answer of the default model, or of another one if that is not served, piece by piece.

    Raises TorchServe's failure as one of adapter.errors.
    """
    pieces: SimpleQueue[str | Exception | None] = SimpleQueue()

    def ask() -> None:
        try:
            asyncio.run(_ask(settings, keys, registry, pieces.put))
            pieces.put(None)
        except Exception as error:  # noqa: BLE001 - raised again where it is waited for
            pieces.put(error)

    # An event loop swallows what a signal's handler raises in one of its callbacks: the caller's thread has none.
    Thread(target=ask, name="sample answer", daemon=True).start()
    while (piece := pieces.get()) is not None:
        if isinstance(piece, Exception):
            raise piece
        yield piece


async def _ask(settings: Settings, keys: KeyFile, registry: ModelRegistry, show: Callable[[str], None]) -> None:
    pinned = await registry.resolve_any()
    request = GenerationRequest(prompt=SAMPLE_PROMPT, temperature=0, model=pinned.model, model_version=pinned.version)
    async with (
        InferenceClient(settings, keys, registry.resolve_anew) as inference,
        aclosing(inference.stream(request, Call("sample", time.monotonic()))) as arrivals,
    ):
        async for events in arrivals:
            for event in events:
                if isinstance(event, DeltaEvent):
                    show(event.text)
