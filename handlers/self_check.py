"""Compares the engine with the model's own forward pass, once: a model that it would get wrong is not served."""

import torch
from transformers import PreTrainedModel

from handlers.engine import Engine
from handlers.sampling import SamplingParameters
from handlers.slot_cache import UnsupportedModelError

_NEW_TOKENS = 3
# The largest difference of two logits, as a share of their range, that comes from the order of additions alone.
_TOLERANCE = {torch.float32: 1e-3, torch.bfloat16: 0.1, torch.float16: 0.05}


@torch.inference_mode()
def check_engine(engine: Engine, model: PreTrainedModel) -> None:
    """Runs a short and a long prompt together, the long one in pieces, and checks the logits of every step.

    Raises UnsupportedModelError when they are not those of a forward pass over the whole sequence.
    """
    vocabulary = model.get_output_embeddings().out_features
    most = engine.context_length - _NEW_TOKENS
    sequences = {
        str(length): [(31 * position + length) % vocabulary for position in range(length)]
        for length in {min(most, 3), min(most, 100)}
    }
    logits: list[torch.Tensor] = []
    # One token of each running row, as rows of one or as one sequence (forward_pass.py).
    hook = model.register_forward_hook(
        lambda _module, _arguments, output: logits.append(output.logits.flatten(0, 1).float())
    )
    try:
        for name, prompt in sequences.items():
            engine.submit(name, prompt, _NEW_TOKENS, SamplingParameters())
        stepped: dict[str, list[torch.Tensor]] = {name: [] for name in sequences}
        while engine.has_work:
            logits.clear()
            if (step := engine.step()) is None:
                continue
            for row, (name, token) in enumerate(zip(step.ids, step.tokens, strict=True)):
                stepped[name].append(logits[0][row])
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
        hook.remove()
        engine.cancel_all()


def _compare(stepped: torch.Tensor, expected: torch.Tensor, model: PreTrainedModel) -> None:
    difference = (stepped - expected).abs().max() / (expected.max() - expected.min())
    if not difference <= _TOLERANCE[model.dtype]:  # so that NaN is refused too
        raise UnsupportedModelError(
            f"{model.config.model_type} models do not work with the engine: its logits differ from the model's own"
            f" by {difference:.1%} of their range"
        )
