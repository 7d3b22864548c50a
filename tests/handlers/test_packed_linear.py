"""Packed layers compute what the layers did that they stand for."""

import copy

import pytest
import torch
from torch import nn
from transformers import PreTrainedModel

from handlers.engine import Engine
from handlers.packed_linear import Int8Linear, PackedLinear, computed_in, pack_linear_layers
from handlers.sampling import SamplingParameters
from tests.handlers.engine_answers import run

ROWS = [(1,), (2,), (3,), (16,), (1, 1), (2, 7), (64, 1)]


def random_linear(dtype: torch.dtype, *, bias: bool) -> nn.Linear:
    torch.manual_seed(0)
    return nn.Linear(96, 160, bias=bias, dtype=dtype).requires_grad_(requires_grad=False)


@pytest.mark.parametrize("bias", [False, True], ids=["without a bias", "with one"])
@pytest.mark.parametrize("rows", ROWS, ids=str)
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 1e-5), (torch.bfloat16, 2e-2)], ids=str)
def test_a_packed_layer_gives_what_the_layer_gives(
    rows: tuple[int, ...], dtype: torch.dtype, tolerance: float, *, bias: bool
) -> None:
    linear = random_linear(dtype, bias=bias)
    states = torch.randn(*rows, 96, dtype=dtype)

    output = PackedLinear(linear)(states)

    assert output.shape == (*rows, 160)
    assert output.dtype == dtype
    torch.testing.assert_close(output, linear(states), rtol=0, atol=tolerance)


@pytest.mark.parametrize("bias", [False, True], ids=["without a bias", "with one"])
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 1e-5), (torch.bfloat16, 2e-2)], ids=str)
def test_a_compiled_step_of_one_row_reads_the_weights_as_they_are_stored(
    dtype: torch.dtype, tolerance: float, monkeypatch: pytest.MonkeyPatch, *, bias: bool
) -> None:
    linear = random_linear(dtype, bias=bias)
    states = torch.randn(1, 1, 96, dtype=dtype)
    layer = PackedLinear(linear)
    layer.register_buffer(PackedLinear.weight_of_rows, None)

    monkeypatch.setattr(torch.compiler, "is_compiling", lambda: True)
    output = layer(states)

    assert output.dtype == dtype
    torch.testing.assert_close(output, linear(states), rtol=0, atol=tolerance)


@pytest.mark.parametrize("bias", [False, True], ids=["without a bias", "with one"])
@pytest.mark.parametrize("rows", ROWS, ids=str)
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 0.03), (torch.bfloat16, 0.06)], ids=str)
def test_int8_weights_give_nearly_what_the_layer_gives_for_any_number_of_rows(
    rows: tuple[int, ...], dtype: torch.dtype, tolerance: float, *, bias: bool
) -> None:
    linear = random_linear(dtype, bias=bias)
    states = torch.randn(*rows, 96, dtype=dtype)

    output = Int8Linear(linear)(states)

    assert output.shape == (*rows, 160)
    assert output.dtype == dtype
    torch.testing.assert_close(output, linear(states), rtol=0, atol=tolerance)


@pytest.mark.parametrize("bias", [False, True], ids=["without a bias", "with one"])
@pytest.mark.parametrize(
    ("vectors", "inputs"), [("AVX512", 96), ("AVX2", 96), ("AVX2", 90)], ids=["AVX-512", "AVX2", "AVX2, no fours"]
)
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 1e-5), (torch.bfloat16, 2e-2)], ids=str)
def test_a_compiled_step_of_one_row_gives_what_the_same_int8_weights_give_for_more(
    dtype: torch.dtype, tolerance: float, monkeypatch: pytest.MonkeyPatch, *, vectors: str, inputs: int, bias: bool
) -> None:
    monkeypatch.setattr(torch.backends.cpu, "get_cpu_capability", lambda: vectors)
    torch.manual_seed(0)
    layer = Int8Linear(nn.Linear(inputs, 160, bias=bias, dtype=dtype).requires_grad_(requires_grad=False))
    states = torch.randn(1, 1, inputs, dtype=dtype)
    expected = layer(states.expand(3, 1, inputs))[:1]

    monkeypatch.setattr(torch.compiler, "is_compiling", lambda: True)
    for unread in layer.unread(one_row=True):
        layer.register_buffer(unread, None)
    output = layer(states)

    assert output.dtype == dtype
    torch.testing.assert_close(output, expected, rtol=0, atol=tolerance)


def test_int8_weights_are_within_half_a_step_of_the_layers_own() -> None:
    linear = random_linear(torch.float32, bias=False)
    steps = linear.weight.abs().amax(dim=1) / 127

    columns = Int8Linear(linear)(torch.eye(96)).T

    assert ((columns - linear.weight).abs() <= 0.5001 * steps[:, None]).all()


def test_int8_weights_of_bfloat16_are_within_half_a_step_too_where_one_row_reads_them() -> None:
    """What the scale is rounded by is no error of the weights."""
    linear = random_linear(torch.bfloat16, bias=False)
    steps = linear.weight.float().abs().amax(dim=1) / 127
    layer = Int8Linear(linear)

    weights = layer.get_buffer("_int8").float() * layer.get_buffer("_scale").float()[:, None]

    # Half a step of a scale that is rounded by at most 1/256.
    assert ((weights - linear.weight.float()).abs() <= (0.5 + 0.5 / 128) * steps[:, None]).all()


def test_an_output_whose_weights_are_all_zero_stays_zero() -> None:
    linear = random_linear(torch.bfloat16, bias=False)
    linear.weight[3] = 0
    assert Int8Linear(linear)(torch.ones(1, 96, dtype=torch.bfloat16))[0, 3] == 0


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
