"""The engine of a worker: of what it has loaded, as its settings say."""

from handlers.compiled_steps import CompiledSteps
from handlers.engine import Engine
from handlers.model_loading import LoadedModel
from handlers.settings import HandlerSettings


def worker_engine(loaded: LoadedModel, settings: HandlerSettings, compiled_steps: CompiledSteps | None) -> Engine:
    return Engine(
        loaded.model,
        loaded.stop_token_ids,
        slots=settings.slots,
        context_length=loaded.context_length,
        prefill_tokens=settings.prefill_tokens,
        prefix_slots=settings.prefix_slots,
        compiled_steps=compiled_steps,
    )
