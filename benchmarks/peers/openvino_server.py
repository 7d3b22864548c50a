"""OpenVINO GenAI's continuous batching behind the part of OpenAI's API that is measured: streamed chat completions.

The model is converted by optimum-intel at the first start, in 16 bits.
"""

import asyncio
import itertools
import json
import shutil
import subprocess
import sys
import threading
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import openvino_genai
import uvicorn
from fastapi import FastAPI
from fastapi.responses import StreamingResponse
from pydantic import BaseModel
from transformers import AutoTokenizer

from benchmarks.peers.command_line import parse_arguments

_CACHE_GB = 2
_BEST_BATCH_TOKENS = 2_048  # its default of 256 holds long prompts back


class ChatRequest(BaseModel):
    messages: list[dict[str, str]]
    max_tokens: int


def converted(model: Path) -> Path:
    directory = model.resolve().parent / "benchmarks" / ".cache" / f"openvino-{model.resolve().name}"
    if not directory.exists():
        unfinished = directory.with_suffix(".unfinished")
        shutil.rmtree(unfinished, ignore_errors=True)
        command = [str(Path(sys.executable).with_name("optimum-cli")), "export", "openvino", "--model", str(model)]
        arguments = ["--task", "text-generation-with-past", "--weight-format", "fp16", str(unfinished)]
        subprocess.run([*command, *arguments], check=True)  # noqa: S603 - our own command
        unfinished.rename(directory)
    return directory


class Batches:
    """A thread that steps the pipeline while it has requests, and gives each one's tokens to its queue."""

    def __init__(self, pipeline: Any) -> None:
        self._pipeline = pipeline
        self._ids = itertools.count()
        self._changed = threading.Condition()
        self._added: list[tuple[Any, Any, asyncio.Queue[list[int] | None], asyncio.AbstractEventLoop]] = []
        threading.Thread(target=self._run, daemon=True).start()

    def submit(self, tokens: Any, config: Any) -> "asyncio.Queue[list[int] | None]":
        queue: asyncio.Queue[list[int] | None] = asyncio.Queue()
        with self._changed:
            self._added.append((tokens, config, queue, asyncio.get_running_loop()))
            self._changed.notify()
        return queue

    def _run(self) -> None:
        live: list[tuple[Any, asyncio.Queue[list[int] | None], asyncio.AbstractEventLoop]] = []
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._added or live)
                added, self._added = self._added, []
            for tokens, config, queue, loop in added:
                live.append((self._pipeline.add_request(next(self._ids), tokens, config), queue, loop))
            self._pipeline.step()
            for handle, queue, loop in live:
                while handle.can_read():
                    for output in handle.read().values():
                        loop.call_soon_threadsafe(queue.put_nowait, list(output.generated_ids))
            for ended in [each for each in live if each[0].get_status() != openvino_genai.GenerationStatus.RUNNING]:
                live.remove(ended)
                ended[2].call_soon_threadsafe(ended[1].put_nowait, None)


def make_app(batches: Batches, tokenizer: Any) -> FastAPI:
    app = FastAPI()

    async def events(tokens: Any, config: Any) -> AsyncIterator[str]:
        queue = batches.submit(tokens, config)
        generated: list[int] = []
        told = ""
        while (news := await queue.get()) is not None:
            generated += news
            text = tokenizer.decode(generated, skip_special_tokens=True)
            yield _event({"choices": [{"index": 0, "delta": {"content": text[len(told) :]}}]})
            told = text
        yield _event({"choices": [], "usage": {"completion_tokens": len(generated)}})
        yield "data: [DONE]\n\n"

    @app.post("/v1/chat/completions")
    async def chat(request: ChatRequest) -> StreamingResponse:
        encoded = tokenizer.apply_chat_template(request.messages, add_generation_prompt=True, return_dict=False)
        config = openvino_genai.GenerationConfig(max_new_tokens=request.max_tokens, do_sample=False)
        config.set_eos_token_id(tokenizer.eos_token_id)
        return StreamingResponse(events(_tensor(encoded), config), media_type="text/event-stream")

    return app


def _tensor(ids: list[int]) -> Any:
    import numpy as np  # noqa: PLC0415 - of this peer's environment
    import openvino  # noqa: PLC0415 - the same

    return openvino.Tensor(np.array([ids], dtype=np.int64))


def _event(document: dict[str, Any]) -> str:
    return f"data: {json.dumps(document)}\n\n"


def main() -> None:
    arguments = parse_arguments()
    directory = converted(arguments.model)
    scheduler = openvino_genai.SchedulerConfig()
    scheduler.cache_size = _CACHE_GB
    properties: dict[str, Any] = {}
    if arguments.best:
        scheduler.max_num_batched_tokens = _BEST_BATCH_TOKENS
        properties = {"PERFORMANCE_HINT": "THROUGHPUT", "INFERENCE_NUM_THREADS": arguments.threads}
    pipeline = openvino_genai.ContinuousBatchingPipeline(str(directory), scheduler, "CPU", properties)
    tokenizer = AutoTokenizer.from_pretrained(arguments.model)
    uvicorn.run(make_app(Batches(pipeline), tokenizer), host="127.0.0.1", port=arguments.port, log_level="warning")


if __name__ == "__main__":
    main()
