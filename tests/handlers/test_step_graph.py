"""A graph computes with the tensors that it is given, and holds none of the model that it was made of."""

import copy
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch
from torch import Tensor
from transformers import PreTrainedModel

from handlers import step_graph
from handlers.attention_masks import AttentionMasks
from handlers.compiled_steps import allocate
from handlers.fixed_positions import fix_positions
from handlers.linear_layers import pack_linear_layers
from handlers.slot_cache import SlotCache, UnsupportedModelError, num_cache_layers
from handlers.step_graph import StepKind, compile_step, tensors_of
from tests.handlers.conftest import random_model
from tests.handlers.small_models import small_config

CONTEXT_LENGTH, SLOTS = 64, 4
Graph = Callable[[Tensor, Tensor, Tensor, list[Tensor], list[Tensor]], Tensor]


@dataclass
class Compiler:
    """In place of torch's: it keeps the graph that it gets."""

    graph: Graph | None = None

    def __call__(self, graph: Graph, *_: object, options: dict[str, str]) -> None:
        self.graph = graph
        Path(options["aot_inductor.output_path"]).touch()


@pytest.fixture
def compiler(monkeypatch: pytest.MonkeyPatch) -> Compiler:
    compiler = Compiler()
    monkeypatch.setattr(torch._inductor, "aot_compile", compiler)
    return compiler


def one_layer_of(model_type: str) -> PreTrainedModel:
    """A graph takes as long as there are layers."""
    config = small_config(model_type)
    config.num_hidden_layers = 1
    if getattr(config, "layer_types", None):
        config.layer_types = config.layer_types[-1:]
    return random_model(config)


def packed(model: PreTrainedModel, *, int8: bool) -> PreTrainedModel:
    fix_positions(model, CONTEXT_LENGTH)
    pack_linear_layers(model, int8=int8)
    return model


def with_other_weights(model: PreTrainedModel) -> PreTrainedModel:
    other = copy.deepcopy(model)
    torch.manual_seed(3)
    with torch.no_grad():
        for parameter in other.parameters():
            parameter.mul_(1 + torch.rand_like(parameter))
    return other


def states_of(model: PreTrainedModel) -> list[Tensor]:
    cache = SlotCache(num_cache_layers(model.config, CONTEXT_LENGTH), SLOTS, CONTEXT_LENGTH)
    allocate(model, cache)
    return cache.states


# Of these a layer stands before the head; jetmoe looks at what attention gives by another shape.
@pytest.mark.parametrize("int8", [False, True], ids=["packed", "int8"])
@pytest.mark.parametrize("model_type", ["bert", "modernbert-decoder", "jetmoe"])
def test_the_graph_of_one_model_computes_pieces_of_another_one_of_its_shape(
    model_type: str, compiler: Compiler, tmp_path: Path, *, int8: bool
) -> None:
    plain = one_layer_of(model_type)
    other = packed(with_other_weights(plain), int8=int8)
    model = packed(plain, int8=int8)
    compile_step(model, states_of(model), tmp_path, StepKind.PIECE)
    tokens, positions = torch.arange(5, 25)[None], torch.arange(20)[None]
    mask = AttentionMasks.of(other.config, CONTEXT_LENGTH).looking_from(positions, positions[0], other.dtype)
    weights = list(tensors_of(other, StepKind.PIECE).values())

    assert compiler.graph is not None
    with torch.no_grad():
        logits = compiler.graph(tokens, positions, mask, states_of(other), weights)
        own = other(input_ids=tokens, use_cache=False).logits[:, -1]

    # Where a single row of int8 is read as such, and the model itself takes the packed weights, they round otherwise.
    torch.testing.assert_close(logits, own, rtol=1e-4, atol=1e-4)


def test_a_graph_that_would_hold_weights_is_refused(
    compiler: Compiler, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As of a layer that sees one token where others see all, and that nobody knows of."""
    model = packed(one_layer_of("bert"), int8=False)
    states = states_of(model)
    monkeypatch.setattr(step_graph, "_modules_of_one_token_or_all", lambda _: frozenset())

    with pytest.raises(UnsupportedModelError, match=r"bert models would hold weights \[64, 64\]"):
        compile_step(model, states, tmp_path, StepKind.PIECE)
    assert compiler.graph is None
