"""The compiled steps of a model: a library for one row, one for more, and one for pieces of prompts."""

import logging
import os
from copy import copy
from pathlib import Path

import torch
from torch import Tensor
from transformers import PreTrainedModel

from adapter.handler_section import COMPILED_STEPS_VARIABLE
from handlers.compiled_library import CompiledLibrary
from handlers.graph_digest import graph_digest
from handlers.model_loading import LoadedModel
from handlers.settings import HandlerSettings
from handlers.slot_cache import SlotCache, UnsupportedModelError, Window, num_cache_layers
from handlers.step_graph import StepKind, compile_step, tensors_of
from handlers.steps_on_disk import note_use
from handlers.transient_failures import is_transient

logger = logging.getLogger(__name__)

# Errors of torch.export and inductor, some of them for a model's own code that they cannot follow.
_OF_THE_GRAPH = (RuntimeError, ValueError, TypeError, AssertionError)
_LONGEST_REASON = 300  # characters; a compiler says kilobytes
_LEAST_SLOTS = 3  # torch.export takes no range of 2 to 2 rows


class CompiledSteps:
    """Compiled steps on the tensors of this model, which has the shape that they were compiled for.

    has_pieces: whether it computes pieces of prompts, which not every model can have compiled.
    Raises OSError where a library is missing, or not for this machine.
    """

    def __init__(self, directory: Path, model: PreTrainedModel) -> None:
        self._one_row = CompiledLibrary(directory / StepKind.ONE_ROW.value)
        self._more_rows = CompiledLibrary(directory / StepKind.MORE_ROWS.value)
        self._weights_of_one_row = list(tensors_of(model, StepKind.ONE_ROW).values())
        self._weights_of_rows = list(tensors_of(model, StepKind.MORE_ROWS).values())
        file = directory / StepKind.PIECE.value
        self.has_pieces = file.exists()
        if self.has_pieces:
            self._piece = CompiledLibrary(file)
            self._weights_of_piece = list(tensors_of(model, StepKind.PIECE).values())

    def without_pieces(self) -> "CompiledSteps":
        """The same decode steps alone."""
        steps = copy(self)
        steps.has_pieces = False
        return steps

    def __call__(self, tokens: Tensor, positions: Tensor, mask: Tensor, states: list[Tensor]) -> Tensor:
        """As StepGraph, for one row or several with a token each, or for one row with several tokens."""
        rows, count = tokens.shape
        if count > 1:
            return self._piece([tokens, positions, mask, *states, *self._weights_of_piece])
        if rows == 1:
            return self._one_row([tokens, positions, mask, *states, *self._weights_of_one_row])
        return self._more_rows([tokens, positions, mask, *states, *self._weights_of_rows])


def directory_of_steps(compiled_steps: Path, loaded: LoadedModel, settings: HandlerSettings) -> Path:
    """The directory for models of this shape, on this processor and with this torch: others would end the process."""
    return compiled_steps / graph_digest(loaded, settings)


def find_compiled_steps(loaded: LoadedModel, settings: HandlerSettings) -> CompiledSteps | None:
    """None, too, if they are there but cannot be loaded: a model is served without them."""
    compiled_steps = os.environ.get(COMPILED_STEPS_VARIABLE)
    if compiled_steps is None:
        return None
    directory = directory_of_steps(Path(compiled_steps), loaded, settings)
    if not directory.exists():
        return None
    note_use(directory)
    try:
        return CompiledSteps(directory, loaded.model)
    except OSError as error:
        logger.warning("torchbridge: the compiled steps are left out: %s", error)
        return None


def compile_all_steps(model: PreTrainedModel, slots: int, context_length: int, directory: Path) -> None:
    """Writes the libraries for a cache of this shape; `directory` is there. For the model, see compile_step.

    Pieces of prompts go without one where it cannot be made, unless for a reason that may pass. Raises
    UnsupportedModelError where a decode step cannot be one graph, or the cache is too small.
    """
    if slots < _LEAST_SLOTS:
        raise UnsupportedModelError(f"a compiled step takes {_LEAST_SLOTS} slots and prefix_slots, not {slots}")
    cache = SlotCache(num_cache_layers(model.config, context_length), slots, context_length)
    allocate(model, cache)
    compile_step(model, cache.states, directory, StepKind.ONE_ROW)
    compile_step(model, cache.states, directory, StepKind.MORE_ROWS)
    try:
        compile_step(model, cache.states, directory, StepKind.PIECE)
    except _OF_THE_GRAPH as error:
        if is_transient(str(error)):
            raise
        reason = str(error)[:_LONGEST_REASON]
        logger.warning("torchbridge: pieces of prompts are not compiled: %s", reason or type(error).__name__)


def leave_out_pieces(directory: Path) -> None:
    """Deletes the library for pieces of prompts, which the model itself then computes."""
    (directory / StepKind.PIECE.value).unlink()


@torch.no_grad()  # not in inference mode, whose tensors a graph could not change
def allocate(model: PreTrainedModel, cache: SlotCache) -> None:
    """Writes a token that nobody will look at: a cache gets its shape with its first one.

    A cache that has its shape already is left alone.
    """
    if cache.is_allocated:
        return
    first = torch.zeros(1, 1, dtype=torch.long)
    cache.aim(Window(slice(0, 1), first, first, 1))
    model(input_ids=first, position_ids=first, past_key_values=cache, use_cache=True)
