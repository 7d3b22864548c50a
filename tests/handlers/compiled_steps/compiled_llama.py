"""A small llama, packed as a worker packs it, and an engine that takes compiled steps of it."""

from transformers import PreTrainedModel

from handlers.compiled_steps import CompiledSteps
from handlers.engine import Engine
from handlers.linear_layers import pack_linear_layers
from handlers.sampling import SamplingParameters
from tests.handlers.conftest import CONTEXT_LENGTH

SLOTS, PREFIX_SLOTS = 4, 1
GREEDY = SamplingParameters()


def packed(model: PreTrainedModel) -> PreTrainedModel:
    pack_linear_layers(model)
    return model


def engine_of(model: PreTrainedModel, steps: CompiledSteps) -> Engine:
    return Engine(
        model,
        (),
        slots=SLOTS,
        context_length=CONTEXT_LENGTH,
        prefill_tokens=16,
        prefix_slots=PREFIX_SLOTS,
        compiled_steps=steps,
    )
