"""A packed layer computes what the layer does that it stands for."""

import pytest
import torch
from torch import nn

from handlers.packed_linear import PackedLinear, packed_layers
from tests.handlers.random_linear import ROWS, random_linear


def packed(linear: nn.Linear) -> PackedLinear:
    [layer] = packed_layers([linear])
    return layer


@pytest.mark.parametrize("bias", [False, True], ids=["without a bias", "with one"])
@pytest.mark.parametrize("rows", ROWS, ids=str)
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 1e-5), (torch.bfloat16, 2e-2)], ids=str)
def test_a_packed_layer_gives_what_the_layer_gives(
    rows: tuple[int, ...], dtype: torch.dtype, tolerance: float, *, bias: bool
) -> None:
    linear = random_linear(dtype, bias=bias)
    states = torch.randn(*rows, 96, dtype=dtype)

    output = packed(linear)(states)

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
    layer = packed(linear)
    layer.get_submodule("_product").register_buffer("_weight", None)

    monkeypatch.setattr(torch.compiler, "is_compiling", lambda: True)
    output = layer(states)

    assert output.dtype == dtype
    torch.testing.assert_close(output, linear(states), rtol=0, atol=tolerance)
