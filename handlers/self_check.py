"""Compares the engine with the model's own forward pass, once: a model that it would get wrong is not served."""

from collections.abc import Sequence

import torch
from transformers import PreTrainedModel

from handlers.engine import Engine
from handlers.forward_pass import ForwardPass, Piece
from handlers.sampling import SamplingParameters
from handlers.slot_cache import UnsupportedModelError

# New tokens of a prompt that is computed at once, of one that takes several steps, and of one that comes after it: the
# last two run together, and then one of them alone.
_NEW_TOKENS = {3: 3, 100: 5, 5: 4}
# The largest difference of two logits, as a share of their range, that comes from the order of additions alone.
_TOLERANCE = {torch.float32: 1e-3, torch.bfloat16: 0.1, torch.float16: 0.05}


@torch.inference_mode()
def check_engine(engine: Engine, model: PreTrainedModel) -> None:
    """Runs short prompts and a long one, together and alone, and checks the logits of every step.

    Raises UnsupportedModelError when they are not those of a forward pass over the whole sequence.
    """
    vocabulary = model.get_output_embeddings().out_features
    most = max(1, engine.context_length - max(_NEW_TOKENS.values()))
    new_tokens = {min(most, length): count for length, count in _NEW_TOKENS.items()}
    sequences = {
        str(length): [(31 * position + length) % vocabulary for position in range(length)] for length in new_tokens
    }
    own_pass = engine.forward_pass
    recording = engine.forward_pass = _Recording(own_pass)
    try:
        for name, prompt in sequences.items():
            engine.submit(name, prompt, new_tokens[len(prompt)], SamplingParameters())
        stepped: dict[str, list[torch.Tensor]] = {name: [] for name in sequences}
        while engine.has_work:
            if (step := engine.step()) is None:
                continue
            for row, (name, token) in enumerate(zip(step.ids, step.tokens, strict=True)):
                stepped[name].append(recording.logits[row])
                sequences[name].append(token)
        for name, rows in stepped.items():
            # The last token was never looked at.
            whole = torch.tensor([sequences[name][:-1]], device=model.device)
            expected = model(input_ids=whole, use_cache=False).logits[0, -len(rows) :].float()
            for mine, own in zip(rows, expected, strict=True):
                _compare(mine, own, model)
    except UnsupportedModelError:
        raise
    except Exception as error:
        raise UnsupportedModelError(f"{model.config.model_type} models do not work with the engine: {error}") from error
    finally:
        engine.forward_pass = own_pass
        engine.cancel_all()


class _Recording:
    """A forward pass that keeps the last logits that it gave."""

    def __init__(self, forward_pass: ForwardPass) -> None:
        self._forward_pass = forward_pass
        self.logits = torch.empty(0)

    def __call__(self, pieces: Sequence[Piece], lengths: torch.Tensor, longest: int) -> torch.Tensor | None:
        logits = self._forward_pass(pieces, lengths, longest)
        if logits is not None:
            self.logits = logits.float()
        return logits


def _compare(stepped: torch.Tensor, expected: torch.Tensor, model: PreTrainedModel) -> None:
    difference = (stepped - expected).abs().max() / (expected.max() - expected.min())
    if not difference <= _TOLERANCE[model.dtype]:  # so that NaN is refused too
        raise UnsupportedModelError(
            f"{model.config.model_type} models do not work with the engine: its logits differ from the model's own"
            f" by {difference:.1%} of their range"
        )
