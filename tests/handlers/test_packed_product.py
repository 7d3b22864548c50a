"""Layers that are given the same states are computed at once, and each gets its own output whatever it is given."""

import pytest
import torch
from torch import Tensor, nn

from handlers.packed_product import PackedProduct

SIZES = [160, 32, 48]
BIASES = [(False, False, False), (True, True, True), (False, True, False)]


@pytest.fixture(params=BIASES, ids=["no biases", "three", "one"])
def layers(request: pytest.FixtureRequest) -> list[nn.Linear]:
    torch.manual_seed(0)
    return [nn.Linear(96, size, bias=bias) for size, bias in zip(SIZES, request.param, strict=True)]


@pytest.fixture
def product(layers: list[nn.Linear]) -> PackedProduct:
    return PackedProduct([layer.weight for layer in layers], [layer.bias for layer in layers])


def assert_is_of(layer: nn.Linear, states: Tensor, output: Tensor) -> None:
    torch.testing.assert_close(output, layer(states), rtol=0, atol=1e-5)


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 0, 1)], ids=["in turn", "in another order"])
def test_the_same_states_are_computed_once(
    product: PackedProduct, layers: list[nn.Linear], order: tuple[int, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    computed: list[Tensor] = []
    own = product._compute
    monkeypatch.setattr(product, "_compute", lambda states: computed.append(states) or own(states))
    states = torch.randn(2, 7, 96)

    outputs = {index: product(states, index) for index in order}

    assert len(computed) == 1
    for index, output in outputs.items():
        assert_is_of(layers[index], states, output)


def test_nothing_is_held_when_each_layer_has_its_own(product: PackedProduct) -> None:
    states = torch.randn(2, 7, 96)
    for index in range(3):
        product(states, index)

    assert product._states is None
    assert not product._outputs


def test_other_states_meanwhile_have_their_own_output(product: PackedProduct, layers: list[nn.Linear]) -> None:
    states, others = torch.randn(2, 7, 96), torch.randn(2, 7, 96)

    assert_is_of(layers[0], states, product(states, 0))
    assert_is_of(layers[1], others, product(others, 1))
    assert_is_of(layers[2], states, product(states, 2))


def test_a_layer_that_asks_twice_is_answered_twice(product: PackedProduct, layers: list[nn.Linear]) -> None:
    states = torch.randn(2, 7, 96)

    for _ in range(2):
        assert_is_of(layers[1], states, product(states, 1))


def test_the_same_states_are_computed_anew_in_the_next_pass(product: PackedProduct, layers: list[nn.Linear]) -> None:
    """They may have been changed in place."""
    states = torch.randn(2, 96)
    for _ in range(2):
        for index, layer in enumerate(layers):
            assert_is_of(layer, states, product(states, index))
        states += 1
