"""A linear layer, and states of all the shapes that come."""

import torch
from torch import nn

ROWS = [(1,), (2,), (3,), (16,), (1, 1), (2, 7), (64, 1)]


def random_linear(dtype: torch.dtype, *, bias: bool) -> nn.Linear:
    torch.manual_seed(0)
    return nn.Linear(96, 160, bias=bias, dtype=dtype).requires_grad_(requires_grad=False)
