"""CTranslate2, an engine in C++: whatever waits when the engine is free becomes its next batch."""

import asyncio
import json
import queue
import tempfile
import threading
import time
from concurrent.futures import Future
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import ctranslate2
import uvicorn
from ctranslate2.converters import TransformersConverter
from fastapi import FastAPI
from transformers import AutoTokenizer

from benchmarks.peers.command_line import parse_arguments
from benchmarks.peers.generate_contract import GenerateRequest, GenerateResponse

_BATCH_SIZE = 16


@dataclass(frozen=True)
class _Waiting:
    prompt: list[str]
    max_length: int
    tokens: "Future[list[int]]" = field(default_factory=Future)


def convert(model: Path, directory: Path, any_token: str) -> None:
    TransformersConverter(str(model)).convert(str(directory), force=True)
    config = directory / "config.json"
    # A tokenizer without special tokens is written with null for them, which the engine refuses to load.
    tokens = {key: any_token if value is None else value for key, value in json.loads(config.read_text()).items()}
    config.write_text(json.dumps(tokens), encoding="utf-8")


def run_batches(generator: Any, requests: "queue.SimpleQueue[_Waiting]") -> None:
    while True:
        batch = [requests.get()]
        while len(batch) < _BATCH_SIZE and not requests.empty():
            batch.append(requests.get())
        length = max(waiting.max_length for waiting in batch)
        results = generator.generate_batch(
            [waiting.prompt for waiting in batch],
            max_batch_size=_BATCH_SIZE,
            beam_size=1,
            end_token=[],
            min_length=length,
            max_length=length,
            include_prompt_in_result=False,
        )
        for waiting, result in zip(batch, results, strict=True):
            waiting.tokens.set_result(result.sequences_ids[0][: waiting.max_length])


def make_app(tokenizer: Any, requests: "queue.SimpleQueue[_Waiting]") -> FastAPI:
    app = FastAPI()

    @app.post("/generate")
    async def generate(request: GenerateRequest) -> GenerateResponse:
        started = time.perf_counter()
        prompt = tokenizer.convert_ids_to_tokens(tokenizer(request.prompt)["input_ids"])
        waiting = _Waiting(prompt, request.max_length)
        requests.put(waiting)
        tokens = await asyncio.wrap_future(waiting.tokens)
        return GenerateResponse(
            text=tokenizer.decode(tokens, skip_special_tokens=True),
            tokens_generated=len(tokens),
            generation_time=time.perf_counter() - started,
        )

    return app


def main() -> None:
    arguments = parse_arguments()
    tokenizer: Any = AutoTokenizer.from_pretrained(arguments.model)
    with tempfile.TemporaryDirectory(prefix="ctranslate2-") as directory:
        convert(arguments.model, Path(directory), tokenizer.convert_ids_to_tokens(0))
        # The default type is the weights' own, or float32 where the processor lacks it.
        generator = ctranslate2.Generator(directory, device="cpu", inter_threads=1, intra_threads=arguments.threads)
    print(f"compute type: {generator.compute_type}", flush=True)  # noqa: T201 - for the log
    requests: queue.SimpleQueue[_Waiting] = queue.SimpleQueue()
    threading.Thread(target=run_batches, args=(generator, requests), daemon=True).start()
    uvicorn.run(make_app(tokenizer, requests), host="127.0.0.1", port=arguments.port)


if __name__ == "__main__":
    main()
