"""FastAPI straight around `model.generate`, as guides to a first model server write it. One request at a time."""

import argparse
import time
from pathlib import Path
from typing import Any

import torch
import uvicorn
from fastapi import FastAPI
from pydantic import BaseModel
from transformers import AutoModelForCausalLM, AutoTokenizer


class GenerateRequest(BaseModel):
    prompt: str
    max_length: int
    temperature: float


class GenerateResponse(BaseModel):
    text: str
    tokens_generated: int
    generation_time: float


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
    parser = argparse.ArgumentParser()
    parser.add_argument("--model", type=Path, required=True)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--threads", type=int, required=True)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    uvicorn.run(make_app(arguments.model), host="127.0.0.1", port=arguments.port)


if __name__ == "__main__":
    main()
