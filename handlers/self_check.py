"""Compares the engine with the model's own forward pass, once: a model that it would get wrong is not served."""

import inspect
from collections import deque
from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor
from transformers import PreTrainedConfig, PreTrainedModel

from handlers.compiled_forward_pass import CompiledForwardPass
from handlers.engine import Engine
from handlers.fixed_positions import original_context_length
from handlers.forward_pass import ForwardPass, Piece
from handlers.passes_alone import own_window
from handlers.row_groups import RowGroup
from handlers.sampling import SamplingParameters
from handlers.slot_cache import UnsupportedModelError

# New tokens by the length of the prompt. The prompt of 3 tokens runs first, and that of 100 is computed beside it: at
# once, or in several pieces if the engine's prefill_tokens are few. If pieces are compiled, the prompt of 100 comes
# first, alone and in several of them, and then the others, in compiled pieces as well. In the end two rows run
# together, and then one of them.
_NEW_TOKENS = {3: 3, 100: 6, 5: 4}
# Where pieces are compiled, those of these prompts are left to the model itself beside a row that runs. They are of
# other lengths, and so of other tokens: the engine still has the ones above.
_NEW_TOKENS_BY_THE_MODEL = {6: 4, 4: 3}
_BEYOND = 20  # tokens of a prompt that are past the original context, or a window
_SHORT_WINDOW, _SHORT_PIECE = 24, 30
# The largest difference of two logits, as a share of their range, that comes from the order of additions alone.
_TOLERANCE = {torch.float32: 1e-3, torch.bfloat16: 0.1, torch.float16: 0.05}
# On the CPU alone. Seen: 0.000009 at most, in 65 families of models, and 0.007 or more where a token does not look at
# the one 40 before it, which in bfloat16 makes no more than rounding does.
TIGHT_TOLERANCE = 1e-4


class ForwardPassError(UnsupportedModelError):
    """A step could not be computed."""


def check_engine(engine: Engine, model: PreTrainedModel, *, tolerance: float | None = None) -> None:
    """Runs short prompts and a longer one, together and alone, and checks the logits of every step.

    Sliding windows are shorter meanwhile, so that these prompts leave them.
    tolerance: the largest difference, as a share of the logits' range; what the model's type needs if absent.
    Raises UnsupportedModelError when they are not those of a forward pass over the whole sequence, ForwardPassError
    when there are none.
    """
    for _ in check_in_pieces(engine, model, tolerance=tolerance):
        pass


def check_in_pieces(engine: Engine, model: PreTrainedModel, *, tolerance: float | None = None) -> Iterator[None]:
    """As check_engine, in pieces that take about as long as a step, for whoever has something else to do meanwhile."""
    new_tokens, by_the_model = (_as_long_as_fit(engine, each) for each in (_NEW_TOKENS, _NEW_TOKENS_BY_THE_MODEL))
    with _short_windows(engine, model):
        forward_pass = engine.forward_pass
        if not (isinstance(forward_pass, CompiledForwardPass) and forward_pass.has_pieces):
            yield from _check(engine, model, new_tokens, tolerance)
            return
        with _short_pieces(forward_pass, tokens_per_pass=0):
            yield from _check(engine, model, new_tokens, tolerance, first=str(max(new_tokens)))
        with _short_pieces(forward_pass, tokens_per_pass=engine.context_length):
            yield from _check(engine, model, by_the_model, tolerance, first=str(max(by_the_model)))


def check_engine_beyond_original(engine: Engine, model: PreTrainedModel, *, tolerance: float | None = None) -> None:
    """As check_engine, with a prompt longer than the model's original context, beside a row that runs all the while.

    Does nothing where the engine's context is not longer than the original one.
    """
    original = original_context_length(model.config)
    if original is None or original >= engine.context_length:
        return
    _check_in_company(engine, model, original + _BEYOND, tolerance)


def check_engine_beyond_windows(engine: Engine, model: PreTrainedModel, *, tolerance: float | None = None) -> None:
    """As check_engine_beyond_original, with a prompt that leaves each of the model's windows, as long as they are."""
    own = own_window(model.config, engine.context_length)
    windows = [window for window in [*engine.forward_pass.masks.windows, own] if window is not None]
    if windows:
        _check_in_company(engine, model, max(windows) + _BEYOND, tolerance)


def _check_in_company(engine: Engine, model: PreTrainedModel, length: int, tolerance: float | None) -> None:
    """With a prompt as long as this, or as the context holds, beside a short row that runs all the while."""
    longest = min(length, _longest_prompt(engine))
    beside = {3: engine.context_length} if engine.slots > 1 else {}
    for _ in _check(engine, model, beside | {longest: 5}, tolerance, last=str(longest)):
        pass


@contextmanager
def _short_windows(engine: Engine, model: PreTrainedModel) -> Iterator[None]:
    """A prompt longer than a window of 4,095 tokens would take minutes, at each load of a worker.

    The model's masks are made anew in each pass, from its configuration (transformers/masking_utils.py).
    """
    forward_pass = engine.forward_pass
    masks = forward_pass.masks
    configs = [each for each in _configs(model) if (getattr(each, "sliding_window", None) or 0) > _SHORT_WINDOW]
    windows = [each.sliding_window for each in configs]
    if not any(masks.windows):
        yield
        return
    forward_pass.masks = masks.shortened(_SHORT_WINDOW)
    try:
        for config in configs:
            config.sliding_window = _SHORT_WINDOW
        yield
    finally:
        engine.forget_ended()  # what these windows made of their tokens is not what the model's own would
        forward_pass.masks = masks
        for config, window in zip(configs, windows, strict=True):
            config.sliding_window = window


@contextmanager
def _short_pieces(forward_pass: CompiledForwardPass, *, tokens_per_pass: float) -> Iterator[None]:
    """Shortens pieces, whatever the width is: a prompt alone has several, and others as `tokens_per_pass` says."""
    own = forward_pass.most_tokens, forward_pass.tokens_per_pass
    forward_pass.most_tokens, forward_pass.tokens_per_pass = _SHORT_PIECE, tokens_per_pass
    try:
        yield
    finally:
        forward_pass.most_tokens, forward_pass.tokens_per_pass = own


def _configs(model: PreTrainedModel) -> list[PreTrainedConfig]:
    """The configurations of the model and its parts, which may have copies."""
    configs = [module.config for module in model.modules() if isinstance(module, PreTrainedModel)]
    return list({id(config): config for config in [model.config.get_text_config(), *configs]}.values())


def _as_long_as_fit(engine: Engine, new_tokens: Mapping[int, int]) -> dict[int, int]:
    longest = _longest_prompt(engine)
    return {min(longest, length): count for length, count in new_tokens.items()}


def _longest_prompt(engine: Engine) -> int:
    return max(1, engine.context_length - 6)


@torch.inference_mode()
def _check(
    engine: Engine,
    model: PreTrainedModel,
    new_tokens: Mapping[int, int],
    tolerance: float | None,
    *,
    first: str | None = None,
    last: str | None = None,
) -> Iterator[None]:
    """new_tokens: by the length of the prompt, which is its name.

    first: the request that is alone in the first step; last: the one with which all ends.
    """
    if tolerance is None:
        tolerance = _TOLERANCE[model.dtype]
    try:
        rows = yield from _run(engine, model, new_tokens, first, last)
        for sequence, stepped in rows:
            yield
            for mine, own in zip(stepped, _own_logits(model, sequence, len(stepped)), strict=True):
                _compare(mine, own, model, tolerance)
    except (UnsupportedModelError, MemoryError, torch.OutOfMemoryError):
        raise
    except Exception as error:
        reason = str(error) or type(error).__name__  # an assertion may say nothing
        raise ForwardPassError(f"{model.config.model_type} models do not work with the engine: {reason}") from error


def _run(
    engine: Engine, model: PreTrainedModel, new_tokens: Mapping[int, int], first: str | None, last: str | None
) -> Generator[None, None, list[tuple[list[int], list[Tensor]]]]:
    """The tokens of each request that were looked at, and the logits of its steps."""
    vocabulary = model.get_output_embeddings().out_features
    sequences = {
        str(length): [(31 * position + length) % vocabulary for position in range(length)] for length in new_tokens
    }
    stepped: dict[str, list[Tensor]] = {name: [] for name in sequences}
    own_pass = engine.forward_pass
    recording = engine.forward_pass = _Recording(own_pass)
    try:
        waiting = deque(sorted(sequences, key=lambda name: name != first))
        while waiting or engine.has_work:
            yield
            while waiting:
                name = waiting.popleft()
                engine.submit(name, list(sequences[name]), new_tokens[int(name)], SamplingParameters())
                if name == first:
                    break
            if (step := engine.step()) is None:
                continue
            for row, (name, token) in enumerate(zip(step.ids, step.tokens, strict=True)):
                stepped[name].append(recording.logits[row])
                sequences[name].append(token)
            if last in step.ended:
                break
    finally:
        engine.forward_pass = own_pass
        engine.cancel_all()
    return [(sequences[name][:-1], logits) for name, logits in stepped.items()]


class _Recording:
    """A forward pass that keeps the last logits that it gave."""

    def __init__(self, forward_pass: ForwardPass) -> None:
        self._forward_pass, self.masks = forward_pass, forward_pass.masks
        self.logits = torch.empty(0)

    def __call__(self, pieces: Sequence[Piece], lengths: Tensor, groups: Sequence[RowGroup]) -> Tensor | None:
        logits = self._forward_pass(pieces, lengths, groups)
        if logits is not None:
            self.logits = logits.float()
        return logits


def _own_logits(model: PreTrainedModel, sequence: list[int], count: int) -> Tensor:
    """The logits of the last `count` tokens, [count, vocabulary]."""
    # A long sequence's would take gigabytes, but not every model can leave some out.
    can_leave_out = "logits_to_keep" in inspect.signature(model.forward).parameters
    keep = {"logits_to_keep": count} if can_leave_out else {}
    logits: Tensor = model(input_ids=torch.tensor([sequence], device=model.device), use_cache=False, **keep).logits
    return logits[0, -count:].float()


def _range_of(logits: Tensor, model: PreTrainedModel) -> Tensor:
    span = logits.max() - logits.min()
    if span == 0:
        reason = "the same logit to every token: its weights may be all zero"
        raise UnsupportedModelError(f"this {model.config.model_type} model gives {reason}")
    return span


def _compare(stepped: Tensor, expected: Tensor, model: PreTrainedModel, tolerance: float) -> None:
    difference = (stepped - expected).abs().max() / _range_of(expected, model)
    if not difference <= tolerance:  # so that NaN is refused too
        raise UnsupportedModelError(
            f"{model.config.model_type} models do not work with the engine: its logits differ from the model's own"
            f" by {difference:.1%} of their range"
        )
