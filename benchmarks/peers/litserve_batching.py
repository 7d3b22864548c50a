"""LitServe with its dynamic batching: a batch starts and ends together."""

import time
from pathlib import Path
from typing import Any

import litserve
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from benchmarks.peers.command_line import parse_arguments


class GenerateAPI(litserve.LitAPI):  # type: ignore[misc]  # LitServe is not installed where types are checked
    def __init__(self, directory: Path, threads: int) -> None:
        super().__init__(max_batch_size=16, batch_timeout=0.05, api_path="/generate")
        self._directory = directory
        self._threads = threads

    def setup(self, device: str) -> None:
        """Runs in the worker, which is a process of its own."""
        torch.set_num_threads(self._threads)
        self.tokenizer = AutoTokenizer.from_pretrained(self._directory, padding_side="left")
        if self.tokenizer.pad_token is None:
            # Any token does: the attention mask hides the padding.
            self.tokenizer.pad_token = self.tokenizer.eos_token or self.tokenizer.convert_ids_to_tokens(0)
        self.model = AutoModelForCausalLM.from_pretrained(self._directory, dtype="auto").eval().to(device)

    def predict(self, requests: list[dict[str, Any]]) -> list[dict[str, Any]]:
        started = time.perf_counter()
        prompts = [request["prompt"] for request in requests]
        max_lengths = [request["max_length"] for request in requests]
        inputs = self.tokenizer(prompts, padding=True, return_tensors="pt")
        output = self.model.generate(
            input_ids=inputs["input_ids"],
            attention_mask=inputs["attention_mask"],
            max_new_tokens=max(max_lengths),
            do_sample=False,
            pad_token_id=self.tokenizer.pad_token_id,
        )
        prompt_length = inputs["input_ids"].shape[1]
        answers = [
            row[prompt_length : prompt_length + max_length] for row, max_length in zip(output, max_lengths, strict=True)
        ]
        return [
            {
                "text": self.tokenizer.decode(tokens, skip_special_tokens=True),
                "tokens_generated": len(tokens),
                "generation_time": time.perf_counter() - started,
            }
            for tokens in answers
        ]


def main() -> None:
    arguments = parse_arguments()
    api = GenerateAPI(arguments.model, arguments.threads)
    # No timeout: a slow answer is to be measured, not cut off.
    server = litserve.LitServer(api, accelerator="cpu", devices=1, workers_per_device=1, timeout=False)
    server.run(host="127.0.0.1", port=arguments.port, generate_client_file=False)


if __name__ == "__main__":
    main()
