"""The compiled decode steps of a model: a library for one row, and one for more."""

import logging
import os
from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor
from transformers import PreTrainedModel

from adapter.handler_section import COMPILED_STEPS_VARIABLE
from handlers.compiled_library import CompiledLibrary
from handlers.decode_step import compile_decode_step, tensors_of
from handlers.forward_pass import PackedForwardPass, Piece, SeparateForwardPasses
from handlers.graph_digest import graph_digest
from handlers.kept_steps import mark_used
from handlers.model_loading import LoadedModel
from handlers.packed_attention import use_packed_attention
from handlers.runs import Run
from handlers.settings import HandlerSettings
from handlers.slot_cache import SlotCache, UnsupportedModelError, Window, num_cache_layers

logger = logging.getLogger(__name__)

_ONE_ROW, _MORE_ROWS = "one_row.so", "more_rows.so"
_LEAST_SLOTS = 3  # torch.export takes no range of 2 to 2 rows


class CompiledSteps:
    """For the tensors of this model, which has the shape that they were compiled for.

    Raises OSError where a library is missing, or not for this machine.
    """

    def __init__(self, directory: Path, model: PreTrainedModel) -> None:
        self._one_row = CompiledLibrary(directory / _ONE_ROW)
        self._more_rows = CompiledLibrary(directory / _MORE_ROWS)
        self._weights_of_one_row = list(tensors_of(model, one_row=True).values())
        self._weights_of_rows = list(tensors_of(model, one_row=False).values())

    def __call__(self, tokens: Tensor, positions: Tensor, mask: Tensor, states: list[Tensor]) -> Tensor:
        """As DecodeStep."""
        if len(tokens) == 1:
            return self._one_row([tokens, positions, mask, *states, *self._weights_of_one_row])
        return self._more_rows([tokens, positions, mask, *states, *self._weights_of_rows])


def directory_of_steps(compiled_steps: Path, loaded: LoadedModel, settings: HandlerSettings) -> Path:
    """For models of this shape, on this processor and with this torch: others would end the process."""
    return compiled_steps / graph_digest(loaded, settings)


def find_compiled_steps(loaded: LoadedModel, settings: HandlerSettings) -> CompiledSteps | None:
    """None, too, where they are there but cannot be loaded: a model is served without them."""
    compiled_steps = os.environ.get(COMPILED_STEPS_VARIABLE)
    if compiled_steps is None:
        return None
    directory = directory_of_steps(Path(compiled_steps), loaded, settings)
    if not directory.exists():
        return None
    mark_used(directory)
    try:
        return CompiledSteps(directory, loaded.model)
    except OSError as error:
        logger.warning("torchbridge: the compiled steps are left out: %s", error)
        return None


class CompiledForwardPass(PackedForwardPass):
    """Steps without a piece of a prompt are compiled ones; the others need the model itself."""

    def __init__(self, model: PreTrainedModel, cache: SlotCache, tokens: Tensor, steps: CompiledSteps) -> None:
        super().__init__(model, cache, tokens)
        use_packed_attention(model)
        _allocate(model, cache)
        self._steps, self._states = steps, cache.states

    def run_cost(self) -> float:
        return SeparateForwardPasses.run_cost(self)

    def __call__(self, pieces: Sequence[Piece], lengths: Tensor, runs: Sequence[Run]) -> Tensor | None:
        kind = PackedForwardPass if pieces else SeparateForwardPasses
        return kind.__call__(self, pieces, lengths, runs)

    def _next_logits(self, run: Run, lengths: Tensor) -> Tensor:
        rows = slice(run.start, run.stop)
        positions = lengths[rows, None]
        tokens = self._tokens[self._every_row[rows, None], positions]
        # The library takes its rows from where the states begin, and looks at no later ones.
        states = [each[run.start :] for each in self._states] if run.start else self._states
        return self._steps(tokens, positions, self._mask(positions, run.length), states)


def compile_decode_steps(model: PreTrainedModel, slots: int, context_length: int, directory: Path) -> None:
    """Writes the libraries for a cache of this shape; `directory` is there. For the model, see compile_decode_step.

    Raises UnsupportedModelError where the cache is too small, or the model cannot be one graph.
    """
    if slots < _LEAST_SLOTS:
        raise UnsupportedModelError(f"a compiled step takes {_LEAST_SLOTS} slots and prefix_slots, not {slots}")
    cache = SlotCache(num_cache_layers(model.config, context_length), slots, context_length)
    _allocate(model, cache)
    compile_decode_step(model, cache.states, directory / _ONE_ROW, one_row=True)
    compile_decode_step(model, cache.states, directory / _MORE_ROWS, one_row=False)


@torch.no_grad()  # not in inference mode, whose tensors a graph could not change
def _allocate(model: PreTrainedModel, cache: SlotCache) -> None:
    """A cache knows its shape with the first token that it gets: one that nobody will look at.

    One that knows it already may hold what is looked at.
    """
    if cache.is_allocated:
        return
    first = torch.zeros(1, 1, dtype=torch.long)
    cache.aim(Window(slice(0, 1), first, first, 1))
    model(input_ids=first, position_ids=first, past_key_values=cache, use_cache=True)
