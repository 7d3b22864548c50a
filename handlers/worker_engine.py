"""The engine of a worker, made of a model directory and checked, as its settings say.

A worker does it at load, `torchbridge pack` and `compile` before: what they say yes to is what is served.
"""

import logging
from collections.abc import Generator, Iterator
from concurrent.futures import Future
from pathlib import Path

from transformers import PreTrainedModel

from handlers.compiled_forward_pass import CompiledForwardPass
from handlers.compiled_steps import CompiledSteps
from handlers.engine import Engine
from handlers.gpu_memory import CacheRows, rows_of_cache
from handlers.linear_layers import pack_linear_layers
from handlers.model_loading import LoadedModel, load_model
from handlers.packed_attention import leave_packed_attention
from handlers.passes_alone import compute_alone
from handlers.self_check import ForwardPassError, check_engine, check_in_pieces
from handlers.settings import HandlerSettings
from handlers.slot_cache import UnsupportedModelError

logger = logging.getLogger(__name__)


def load_packed_model(directory: Path, settings: HandlerSettings, gpu: int | None = None) -> LoadedModel:
    """On this GPU, or on the CPU with its linear layers packed; where it is to be plain, as it is.

    Raises as load_model does.
    """
    if gpu is not None and settings.quantization is not None:
        raise UnsupportedModelError(f"quantization: {settings.quantization} is for the CPU, not for a GPU")
    loaded = load_model(directory, settings, "cpu" if gpu is None else f"cuda:{gpu}")
    if settings.plain:
        compute_alone(loaded.model)
    elif gpu is None:
        pack_linear_layers(loaded.model, int8=settings.quantization == "int8")
    return loaded


def checked_engine(
    loaded: LoadedModel,
    settings: HandlerSettings,
    compiled_steps: CompiledSteps | None = None,
    *,
    tolerance: float | None = None,
) -> Engine:
    """Falls back step by step until the engine's logits are right.

    In turn it does without compiled pieces of prompts, all compiled steps, one pass for pieces and rows, one for rows.

    tolerance: as for check_engine. Raises UnsupportedModelError where the engine would give other text than the model.
    """
    steps = compiled_steps
    while steps is not None:
        try:
            return _checked(loaded, settings, steps, tolerance)
        except UnsupportedModelError as error:
            _leave_out(steps, error)
            steps = _fewer(steps)
    while True:
        try:
            return _checked(loaded, settings, None, tolerance)
        except ForwardPassError as error:
            # Wrong logits are no reason for it: a worker's tolerance in 16 bits is larger, and it might not see them.
            instead = _slower_passes(loaded.model)
            if instead is None:
                raise
            logger.warning("torchbridge: %s: %s", instead, error)


def _slower_passes(model: PreTrainedModel) -> str | None:
    """Has the next engine take slower passes, and names them; None if none is left that a model could work with."""
    if leave_packed_attention(model):
        return "pieces of prompts and running rows take a pass each"
    return "each request takes passes of its own" if compute_alone(model) else None


def _fewer(steps: CompiledSteps) -> CompiledSteps | None:
    """The steps to try next: if pieces of prompts fail, the decode steps may still be right."""
    return steps.without_pieces() if steps.has_pieces else None


def _leave_out(steps: CompiledSteps, error: UnsupportedModelError) -> None:
    what = "compiled pieces of prompts" if steps.has_pieces else "compiled steps"
    logger.warning("torchbridge: the %s are left out: %s", what, error)


def has_compiled_steps(engine: Engine) -> bool:
    return isinstance(engine.forward_pass, CompiledForwardPass)


def take_compiled_steps(
    engine: Engine, loaded: LoadedModel, settings: HandlerSettings, steps: CompiledSteps, outcome: Future[None]
) -> Iterator[None]:
    """Checks them in an engine beside this one, a piece at a time, and then lets this one use them.

    Without pieces of prompts where these fail. For the thread that runs `engine`, between its steps. Nothing is raised:
    `outcome` has it.
    """
    try:
        taken = yield from _checked_steps(loaded, settings, steps)
        engine.use_compiled_steps(loaded.model, taken)
    except Exception as error:  # noqa: BLE001 - see above
        outcome.set_exception(error)
    else:
        outcome.set_result(None)


def _checked_steps(
    loaded: LoadedModel, settings: HandlerSettings, steps: CompiledSteps
) -> Generator[None, None, CompiledSteps]:
    try:
        yield from check_in_pieces(worker_engine(loaded, settings, steps), loaded.model)
    except UnsupportedModelError as error:
        if (fewer := _fewer(steps)) is None:
            raise
        _leave_out(steps, error)
    else:
        return steps
    return (yield from _checked_steps(loaded, settings, fewer))


def _checked(
    loaded: LoadedModel, settings: HandlerSettings, compiled_steps: CompiledSteps | None, tolerance: float | None
) -> Engine:
    engine = worker_engine(loaded, settings, compiled_steps)
    check_engine(engine, loaded.model, tolerance=tolerance)
    return engine


def worker_engine(loaded: LoadedModel, settings: HandlerSettings, compiled_steps: CompiledSteps | None) -> Engine:
    """An engine that has not been checked."""
    wanted = CacheRows(settings.slots, 0 if settings.plain else settings.prefix_slots)
    rows = rows_of_cache(loaded.model, loaded.context_length, wanted)
    return Engine(
        loaded.model,
        loaded.stop_token_ids,
        slots=rows.slots,
        context_length=loaded.context_length,
        prefill_tokens=settings.prefill_tokens,
        prefix_slots=rows.prefix_slots,
        compiled_steps=compiled_steps,
    )
