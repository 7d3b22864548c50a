"""Compares a loaded model with its answers where it was packed, number by number."""

from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor
from transformers import PreTrainedModel

from adapter.probes import LEAST_LOG_PROBABILITY, PROBES_ENTRY, Probe, Probes
from handlers.linear_layers import has_int8_weights
from handlers.model_loading import LoadedModel
from handlers.tokenization import encode_prompt

_TENTHS_OF_A_NAT = 10
# Nats by which one token's log-probability may differ from the recorded one, which is float32's and rounded by 0.05.
# Seen: 0.0001 between instruction sets; 0.07 (float16) and 0.70 (bfloat16) with random weights that amplify errors,
# 0.006 and 0.07 with trained ones. Weights of int8 have had bfloat16's, whatever is beside them.
_TOLERANCE = {torch.float32: 0.1, torch.float16: 0.25, torch.bfloat16: 1.0, torch.int8: 1.0}


class ProbeCheckError(ValueError):
    """The model is not the one that was packed, or does not compute here as it did there."""


def check_probes(directory: Path, loaded: LoadedModel) -> None:
    """Compares it with the probes of the archive that was unpacked into `directory`, if there are some."""
    file = directory / PROBES_ENTRY
    if file.exists():
        compare_with(Probes.from_bytes(file.read_bytes()), loaded)


def compare_with(probes: Probes, loaded: LoadedModel) -> None:
    """Raises ProbeCheckError if the model answers something else."""
    for probe in probes.probes:
        _check(probe, loaded)


def _check(probe: Probe, loaded: LoadedModel) -> None:
    if tuple(encode_prompt(loaded.tokenizer, probe.prompt)) != probe.prompt_tokens:
        raise ProbeCheckError(f"the tokens of {probe.prompt!r} are not those that were recorded when it was packed")
    recorded = torch.tensor(probe.log_probabilities, dtype=torch.float64) / _TENTHS_OF_A_NAT
    differences = (log_probabilities(loaded.model, probe.tokens) - recorded).abs()
    kind = _kind_of_error(loaded.model)
    tolerance = _TOLERANCE[kind]
    if not (differences <= tolerance).all():  # so that NaN is refused too
        raise ProbeCheckError(
            f"the log-probabilities of {probe.prompt!r} and its answer differ by {differences.max():.2f} from those"
            f" that were recorded when it was packed; at most {tolerance} is {kind}'s own error"
        )


def _kind_of_error(model: PreTrainedModel) -> torch.dtype:
    return torch.int8 if has_int8_weights(model) else model.dtype


def log_probabilities(model: PreTrainedModel, tokens: Sequence[int]) -> Tensor:
    """The log-probability of each token but the first, after those before it, [len(tokens) - 1]."""
    chosen = torch.tensor(tokens[1:], dtype=torch.long)[:, None]
    every = next_log_probabilities(model, tokens)[:-1]
    return every.gather(1, chosen)[:, 0].clamp(min=LEAST_LOG_PROBABILITY / _TENTHS_OF_A_NAT)


@torch.inference_mode()
def next_log_probabilities(model: PreTrainedModel, tokens: Sequence[int]) -> Tensor:
    """The log-probability of every token that could follow each of `tokens`, [len(tokens), vocabulary]."""
    logits: Tensor = model(input_ids=torch.tensor([tokens], device=model.device), use_cache=False).logits[0]
    return logits.cpu().double().log_softmax(dim=-1)


def in_tenths(values: Tensor) -> tuple[int, ...]:
    """The values as they are recorded. Raises ValueError if one of them is NaN."""
    return tuple(round(value * _TENTHS_OF_A_NAT) for value in values.tolist())
