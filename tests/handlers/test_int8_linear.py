"""Weights of 8 bits are within half a step of the layer's own, and the same for any number of rows."""

import pytest
import torch
from torch import nn

from handlers.int8_linear import Int8Linear, int8_layers
from tests.handlers.random_linear import ROWS, random_linear


def in_int8(linear: nn.Linear) -> Int8Linear:
    [layer] = int8_layers([linear])
    return layer


@pytest.mark.parametrize("bias", [False, True], ids=["without a bias", "with one"])
@pytest.mark.parametrize("rows", ROWS, ids=str)
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 0.03), (torch.bfloat16, 0.06)], ids=str)
def test_int8_weights_give_nearly_what_the_layer_gives_for_any_number_of_rows(
    rows: tuple[int, ...], dtype: torch.dtype, tolerance: float, *, bias: bool
) -> None:
    linear = random_linear(dtype, bias=bias)
    states = torch.randn(*rows, 96, dtype=dtype)

    output = in_int8(linear)(states)

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
    layer = in_int8(nn.Linear(inputs, 160, bias=bias, dtype=dtype).requires_grad_(requires_grad=False))
    states = torch.randn(1, 1, inputs, dtype=dtype)
    expected = layer(states.expand(3, 1, inputs))[:1]

    monkeypatch.setattr(torch.compiler, "is_compiling", lambda: True)
    for unread in layer.unread(one_row=True):
        module, _, buffer = unread.rpartition(".")
        layer.get_submodule(module).register_buffer(buffer, None)
    output = layer(states)

    assert output.dtype == dtype
    torch.testing.assert_close(output, expected, rtol=0, atol=tolerance)


def test_int8_weights_are_within_half_a_step_of_the_layers_own() -> None:
    linear = random_linear(torch.float32, bias=False)
    steps = linear.weight.abs().amax(dim=1) / 127

    columns = in_int8(linear)(torch.eye(96)).T

    assert ((columns - linear.weight).abs() <= 0.5001 * steps[:, None]).all()


def test_int8_weights_of_bfloat16_are_within_half_a_step_too_where_one_row_reads_them() -> None:
    """What the scale is rounded by is no error of the weights."""
    linear = random_linear(torch.bfloat16, bias=False)
    steps = linear.weight.float().abs().amax(dim=1) / 127
    layer = in_int8(linear)

    weights = layer.get_buffer("_int8").float() * layer.get_buffer("_scale").float()[:, None]

    # Half a step of a scale that is rounded by at most 1/256.
    assert ((weights - linear.weight.float()).abs() <= (0.5 + 0.5 / 128) * steps[:, None]).all()


def test_an_output_whose_weights_are_all_zero_stays_zero() -> None:
    linear = random_linear(torch.bfloat16, bias=False)
    linear.weight[3] = 0
    assert in_int8(linear)(torch.ones(1, 96, dtype=torch.bfloat16))[0, 3] == 0
