"""Attention whose keys and values are made, in each pass, of what the cache holds (MLA)."""

from torch import Tensor, nn

from handlers.engine import Engine
from handlers.forward_pass import PackedForwardPass
from handlers.sampling import SamplingParameters
from tests.handlers.model_sizes import CONTEXT_LENGTH
from tests.handlers.small_models import small_model

SHORT_ROWS, LONG_PROMPT = 7, 56


def test_a_long_row_does_not_have_short_ones_make_keys_as_far_as_its_own_end() -> None:
    model = small_model("deepseek_v3")
    made: list[int] = []

    def count(_module: nn.Module, arguments: tuple[Tensor, ...]) -> None:
        made[-1] += arguments[0].shape[:-1].numel()

    model.get_submodule("model.layers.0.self_attn.kv_b_proj").register_forward_pre_hook(count)
    engine = Engine(model, (), slots=SHORT_ROWS + 1, context_length=CONTEXT_LENGTH, prefill_tokens=CONTEXT_LENGTH)
    made.append(0)
    engine.submit("long", list(range(5, 5 + LONG_PROMPT)), CONTEXT_LENGTH, SamplingParameters())
    engine.step()
    for row in range(SHORT_ROWS):
        engine.submit(str(row), [5 + row, 6, 7], CONTEXT_LENGTH, SamplingParameters())
    engine.step()
    made.append(0)
    step = engine.step()

    assert step is not None
    assert len(step.ids) == SHORT_ROWS + 1
    assert not isinstance(engine.forward_pass, PackedForwardPass)
    assert made[-1] < 2 * LONG_PROMPT
