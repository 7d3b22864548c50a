"""A model whose layers are packed gives the answers of the model."""

import copy

import pytest
import torch
from torch import nn
from transformers import PreTrainedModel

from handlers.engine import Engine
from handlers.linear_layers import computed_in, pack_linear_layers
from handlers.packed_product import PackedProduct
from handlers.sampling import SamplingParameters
from tests.handlers.engine_answers import run


def greedy(model: PreTrainedModel, prompts: list[list[int]]) -> dict[str, list[int]]:
    engine = Engine(model, (), slots=len(prompts), context_length=128)
    for number, prompt in enumerate(prompts):
        engine.submit(str(number), prompt, 20, SamplingParameters())
    return run(engine)


def test_a_packed_model_gives_the_answers_of_the_model(any_model: PreTrainedModel) -> None:
    packed = copy.deepcopy(any_model)
    pack_linear_layers(packed)
    prompts = [[3, 5, 7], [2] * 9, list(range(40))]

    assert greedy(packed, prompts) == greedy(any_model, prompts)
    assert not any(type(module) is nn.Linear for module in packed.modules())


def test_what_only_inherits_from_a_linear_layer_stays() -> None:
    class Doubled(nn.Linear):
        def forward(self, states: torch.Tensor) -> torch.Tensor:
            return 2 * super().forward(states)

    model = nn.Sequential(Doubled(4, 4))
    model.dtype = torch.float32
    pack_linear_layers(model)
    assert type(model[0]) is Doubled


@pytest.mark.parametrize(
    ("dtype", "int8", "words"),
    [
        (torch.float32, False, "torch.float32"),
        (torch.bfloat16, True, "torch.bfloat16 beside int8 weights (read as such where one row runs)"),
        (torch.float32, True, "torch.float32 beside int8 weights (read as such where one row of a compiled step runs)"),
    ],
    ids=["as stored", "int8 beside bfloat16", "int8 beside float32"],
)
def test_the_log_says_when_weights_are_read_in_8_bits(
    llama: PreTrainedModel, dtype: torch.dtype, words: str, *, int8: bool
) -> None:
    model = copy.deepcopy(llama).to(dtype)
    pack_linear_layers(model, int8=int8)

    assert computed_in(model) == words


def test_layers_that_are_given_the_same_states_are_one_product(llama: PreTrainedModel) -> None:
    packed = copy.deepcopy(llama)
    pack_linear_layers(packed)

    def products(name: str) -> list[PackedProduct]:
        return [module for module in packed.get_submodule(name).modules() if isinstance(module, PackedProduct)]

    assert len(products("model.layers.0.self_attn")) == 2
    assert len(products("model.layers.0.mlp")) == 2


def test_layers_of_those_names_that_take_unlike_states_are_products_of_their_own() -> None:
    model = nn.ModuleDict({"q_proj": nn.Linear(4, 4), "k_proj": nn.Linear(6, 4), "v_proj": nn.Linear(6, 4)})
    model.dtype = torch.float32
    pack_linear_layers(model)

    assert sum(isinstance(module, PackedProduct) for module in model.modules()) == 3
