"""A handler as TorchServe's own examples write it, for its dynamic batching: a batch starts and ends together."""

import time
from typing import Any

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer
from ts.torch_handler.base_handler import BaseHandler


class BatchingHandler(BaseHandler):  # type: ignore[misc]  # TorchServe says nothing of its types
    def initialize(self, context: Any) -> None:
        directory = context.system_properties["model_dir"]
        torch.set_num_threads(context.model_yaml_config["handler"]["threads"])
        self.tokenizer = AutoTokenizer.from_pretrained(directory, padding_side="left")
        if self.tokenizer.pad_token is None:
            # Any token does: the attention mask hides the padding.
            self.tokenizer.pad_token = self.tokenizer.eos_token or self.tokenizer.convert_ids_to_tokens(0)
        self.model = AutoModelForCausalLM.from_pretrained(directory, dtype="auto").eval()
        self.initialized = True

    def preprocess(self, data: list[dict[str, Any]]) -> tuple[Any, list[int]]:
        self.started = time.perf_counter()
        requests = [row["body"] for row in data]
        inputs = self.tokenizer([request["prompt"] for request in requests], padding=True, return_tensors="pt")
        return inputs, [request["max_length"] for request in requests]

    def inference(self, data: tuple[Any, list[int]], *_: Any, **__: Any) -> list[torch.Tensor]:
        inputs, max_lengths = data
        output = self.model.generate(
            input_ids=inputs["input_ids"],
            attention_mask=inputs["attention_mask"],
            max_new_tokens=max(max_lengths),
            do_sample=False,
            pad_token_id=self.tokenizer.pad_token_id,
        )
        prompt_length = inputs["input_ids"].shape[1]
        return [
            row[prompt_length : prompt_length + max_length] for row, max_length in zip(output, max_lengths, strict=True)
        ]

    def postprocess(self, data: list[torch.Tensor]) -> list[dict[str, Any]]:
        return [
            {
                "text": self.tokenizer.decode(tokens, skip_special_tokens=True),
                "tokens_generated": len(tokens),
                "generation_time": time.perf_counter() - self.started,
            }
            for tokens in data
        ]
