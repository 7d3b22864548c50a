"""Trains the Llama model, one batch of stories a step. The schedule counts steps, so a seed gives the same model."""

import math

import torch
from rich.progress import Progress
from torch import Tensor
from torch.nn.functional import cross_entropy
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from training.hyperparameters import Hyperparameters
from training.story_batches import IGNORED, Batch


def create_model(tokenizer: PreTrainedTokenizerFast, hyperparameters: Hyperparameters) -> LlamaForCausalLM:
    torch.manual_seed(hyperparameters.seed)
    return LlamaForCausalLM(
        LlamaConfig(
            vocab_size=len(tokenizer),
            hidden_size=hyperparameters.hidden_size,
            intermediate_size=hyperparameters.intermediate_size,
            num_hidden_layers=hyperparameters.num_layers,
            num_attention_heads=hyperparameters.num_attention_heads,
            num_key_value_heads=hyperparameters.num_key_value_heads,
            head_dim=hyperparameters.head_dim,
            max_position_embeddings=hyperparameters.max_position_embeddings,
            tie_word_embeddings=True,
            bos_token_id=tokenizer.bos_token_id,
            eos_token_id=tokenizer.eos_token_id,
            pad_token_id=tokenizer.pad_token_id,
        )
    )


def learning_rate(step: int, num_steps: int, hyperparameters: Hyperparameters) -> float:
    peak, final = hyperparameters.peak_learning_rate, hyperparameters.final_learning_rate
    if step < hyperparameters.warmup_steps:
        return peak * (step + 1) / hyperparameters.warmup_steps
    progress = (step - hyperparameters.warmup_steps) / max(1, num_steps - hyperparameters.warmup_steps)
    return final + (peak - final) * (1 + math.cos(math.pi * progress)) / 2


def total_loss(model: LlamaForCausalLM, batch: Batch) -> Tensor:
    """Sum over all labelled tokens, in nats."""
    logits = model(input_ids=batch.tokens, use_cache=False).logits
    return cross_entropy(
        logits[:, :-1].flatten(0, 1), batch.labels[:, 1:].flatten(), ignore_index=IGNORED, reduction="sum"
    )


def train_model(model: LlamaForCausalLM, batches: list[Batch], hyperparameters: Hyperparameters) -> None:
    """One pass over the batches, in random order: no story is seen twice."""
    order = torch.randperm(len(batches), generator=torch.Generator().manual_seed(hyperparameters.seed)).tolist()
    matrices = [parameter for parameter in model.parameters() if parameter.ndim > 1]
    vectors = [parameter for parameter in model.parameters() if parameter.ndim == 1]
    groups = [
        {"params": matrices, "weight_decay": hyperparameters.weight_decay},
        {"params": vectors, "weight_decay": 0.0},
    ]
    optimizer = torch.optim.AdamW(groups, betas=(0.9, 0.98), fused=True)
    model.train()
    with Progress(refresh_per_second=1) as progress:
        task = progress.add_task("training", total=len(order))
        for step, index in enumerate(order):
            for group in optimizer.param_groups:
                group["lr"] = learning_rate(step, len(order), hyperparameters)
            loss = total_loss(model, batches[index]) / batches[index].num_labels
            torch.autograd.backward(loss)
            torch.nn.utils.clip_grad_norm_(model.parameters(), hyperparameters.gradient_clip)
            optimizer.step()
            optimizer.zero_grad()
            progress.update(task, advance=1, description=f"training, loss {loss.item():.3f}")
    model.eval()


@torch.inference_mode()
def held_out_loss(model: LlamaForCausalLM, batches: list[Batch]) -> float:
    """Mean over the labelled tokens, in nats."""
    return sum(total_loss(model, batch).item() for batch in batches) / sum(batch.num_labels for batch in batches)
