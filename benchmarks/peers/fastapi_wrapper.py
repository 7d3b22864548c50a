"""FastAPI straight around `model.generate`, as guides to a first model server write it. One request at a time."""

import time
from pathlib import Path
from typing import Any

import torch
import uvicorn
from fastapi import FastAPI
from transformers import AutoModelForCausalLM, AutoTokenizer

from benchmarks.peers.command_line import parse_arguments
from benchmarks.peers.generate_contract import GenerateRequest, GenerateResponse


def make_app(directory: Path) -> FastAPI:
    tokenizer: Any = AutoTokenizer.from_pretrained(directory)
    model = AutoModelForCausalLM.from_pretrained(directory, dtype="auto").eval()
    app = FastAPI()

    @app.post("/generate")
    async def generate(request: GenerateRequest) -> GenerateResponse:
        started = time.perf_counter()
        inputs = tokenizer(request.prompt, return_tensors="pt")
        output = model.generate(**inputs, max_new_tokens=request.max_length, do_sample=False)
        tokens = output[0, inputs["input_ids"].shape[1] :]
        return GenerateResponse(
            text=tokenizer.decode(tokens, skip_special_tokens=True),
            tokens_generated=len(tokens),
            generation_time=time.perf_counter() - started,
        )

    return app


def main() -> None:
    arguments = parse_arguments()
    torch.set_num_threads(arguments.threads)
    uvicorn.run(make_app(arguments.model), host="127.0.0.1", port=arguments.port)


if __name__ == "__main__":
    main()
