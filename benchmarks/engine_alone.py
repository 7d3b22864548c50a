"""The engine as the worker has it, in the benchmark's own process: no TorchServe, no handler thread, no text."""

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import torch

from benchmarks.closed_loop import Loop
from benchmarks.workload import Request
from handlers.compiled_steps import CompiledSteps
from handlers.linear_layers import pack_linear_layers
from handlers.model_loading import load_model
from handlers.sampling import SamplingParameters
from handlers.settings import HandlerSettings
from handlers.tokenization import encode_prompt
from handlers.worker_engine import worker_engine


class EngineAlone:
    """`compiled_steps` are those of an archive with this model and our own defaults, or None to run without."""

    def __init__(self, directory: Path, threads: int, compiled_steps: Path | None) -> None:
        # As the worker does: no other thread of this process computes, so OpenMP's threads spin while they wait.
        self._thread = ThreadPoolExecutor(1)
        self._thread.submit(self._load, directory, threads, compiled_steps).result()

    def _load(self, directory: Path, threads: int, compiled_steps: Path | None) -> None:
        settings = HandlerSettings()
        loaded = load_model(directory, settings)
        pack_linear_layers(loaded.model)
        torch.set_num_threads(threads)
        self._tokenizer = loaded.tokenizer
        steps = CompiledSteps(compiled_steps, loaded.model) if compiled_steps else None
        # Kept, as the worker's is: a new one's cache would be given its memory while it is measured.
        self._engine = worker_engine(loaded, settings, steps)

    def close(self) -> None:
        """Ends its thread: OpenMP's threads would no longer spin beside another's."""
        self._thread.shutdown()

    def run(self, requests: list[Request], streams: int) -> Loop:
        """So many of them at once, each further one when another ends."""
        return self._thread.submit(self._run, requests, streams).result()

    def _run(self, requests: list[Request], streams: int) -> Loop:
        waiting = iter(enumerate(requests))
        began_at = time.perf_counter()
        submitted_at: dict[str, float] = {}
        for _ in range(streams):
            self._submit_next(waiting, submitted_at)
        firsts: dict[str, float] = {}
        tokens = 0
        while self._engine.has_work:
            if (step := self._engine.step()) is None:
                continue
            now = time.perf_counter()
            tokens += len(step.ids)
            for each in step.ids:
                firsts.setdefault(each, now)
            for _ in step.ended:
                self._submit_next(waiting, submitted_at)
        seconds = time.perf_counter() - began_at
        return Loop(tokens, seconds, tuple(first - submitted_at[each] for each, first in firsts.items()))

    def _submit_next(self, waiting: Iterator[tuple[int, Request]], submitted_at: dict[str, float]) -> None:
        if (numbered := next(waiting, None)) is None:
            return
        number, request = numbered
        submitted_at[str(number)] = time.perf_counter()
        prompt = encode_prompt(self._tokenizer, request.prompt)
        self._engine.submit(str(number), prompt, request.max_length, SamplingParameters())
