"""Lets inductor take packed weights as inputs of a graph, where it knows them as constants of a frozen one only.

Its lowering of oneDNN's linear layer asks that the weight is a constant (torch/_inductor/mkldnn_lowerings.py,
linear_unary and linear_binary), for the benchmarks of its own kernels. oneDNN's kernel looks at the weight that it is
given when it runs, whose layout the weight itself knows.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch


@contextmanager
def packed_weights_as_inputs() -> Iterator[None]:
    """For a block in which a graph is compiled that calls `torch.ops.mkldnn._linear_pointwise`."""
    # The imports take most of a second. The last one makes oneDNN's lowerings, which are replaced here.
    from torch._inductor import ir, lowering, mkldnn_ir, mkldnn_lowerings  # noqa: F401, PLC0415

    kernels: Any = mkldnn_ir  # whose classes are untyped
    lowerings: dict[Any, Callable[..., Any]] = lowering.lowerings

    def unary(states: Any, weight: Any, bias: Any, *attributes: Any) -> Any:
        return ir.TensorBox.create(kernels.LinearUnary.create(states, weight, bias, *attributes))

    def binary(states: Any, other: Any, weight: Any, bias: Any, attribute: Any) -> Any:
        return ir.TensorBox.create(kernels.LinearBinary.create(states, other, weight, bias, attribute))

    linear = torch.ops.mkldnn._linear_pointwise  # noqa: SLF001 - as in packed_product.py
    ours: dict[Any, Callable[..., Any]] = {linear: unary, linear.default: unary, linear.binary: binary}
    own = {operator: lowerings[operator] for operator in ours}
    lowerings.update(ours)
    try:
        yield
    finally:
        lowerings.update(own)
