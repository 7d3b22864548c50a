"""The positions that a token looks at: itself and all before it or, in layers with a sliding window, the last of these.

The cache keeps the keys and values of every position in every layer: a window is in the mask alone.
"""

import copy
from collections.abc import Mapping
from typing import Self

import torch
from torch import Tensor
from transformers import PreTrainedConfig
from transformers.cache_utils import DummyLayer

from handlers.slot_cache import UnsupportedModelError, attention_layers


class AttentionMasks:
    """The masks of a model's types of layers, as one tensor, [rows, masks, tokens, length], added to the scores.

    windows: by the name that transformers has for a type of layers, how many tokens a token looks at, itself among
    them (masking_utils.py, sliding_window_overlay); None where it looks at all before it.
    """

    def __init__(self, windows: Mapping[str, int | None]) -> None:
        self._numbers = {name: number for number, name in enumerate(windows)}
        self.windows = list(windows.values())
        if len(set(self.windows)) == 1:
            self._numbers, self.windows = {}, self.windows[:1]

    @classmethod
    def of(cls, config: PreTrainedConfig, context_length: int) -> Self:
        """Raises UnsupportedModelError as attention_windows does."""
        return cls(attention_windows(config, context_length))

    def shortened(self, window: int) -> Self:
        """The same with shorter windows: none of them is longer than this."""
        shortened = copy.copy(self)
        shortened.windows = [each and min(each, window) for each in self.windows]
        return shortened

    def looking_from(self, positions: Tensor, every_position: Tensor, dtype: torch.dtype) -> Tensor:
        """The masks of tokens at these `positions`, [rows, tokens]. every_position: 0 … length - 1."""
        before = positions[:, None, :, None] - every_position
        hidden = torch.cat([_is_hidden(before, window) for window in self.windows], dim=1)
        return torch.zeros_like(hidden, dtype=dtype).masked_fill_(hidden, torch.finfo(dtype).min)

    def sees_all_before(self, end: int) -> bool:
        """Whether tokens at positions 0 … end - 1 look at all before them, in every layer."""
        return all(window is None or end <= window for window in self.windows)

    def numbers(self) -> Tensor:
        """[1, masks, 1, 1], for masks that each layer finds by its number. Not on a GPU, where it would wait for it."""
        return torch.arange(len(self.windows))[None, :, None, None]

    def by_layer_type(self, masks: Tensor) -> Tensor | dict[str, Tensor]:
        """The masks as transformers' models take them: one for all layers, or one for each type of layers."""
        if not self._numbers:
            return masks
        return {name: masks[:, number : number + 1] for name, number in self._numbers.items()}


def attention_windows(config: PreTrainedConfig, context_length: int) -> dict[str, int | None]:
    """The windows by the type of layers; None if the window is no shorter than the context.

    Raises UnsupportedModelError where layers of one type have different windows, and as attention_layers does.
    """
    windows: dict[str, int | None] = {}
    for layer_type, layer in attention_layers(config, context_length):
        if isinstance(layer, DummyLayer):  # it has the mask of the layer whose keys it looks at
            continue
        window: int | None = getattr(layer, "sliding_window", None)
        if window is not None and window >= context_length:
            window = None
        if windows.setdefault(layer_type, window) != window:
            raise UnsupportedModelError(f"{config.model_type} models have several windows for {layer_type} layers")
    return windows or {"full_attention": None}


def _is_hidden(before: Tensor, window: int | None) -> Tensor:
    """before: how many positions each one lies before the token that would look at it."""
    return before < 0 if window is None else (before < 0) | (before >= window)
