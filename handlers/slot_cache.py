"""A key/value cache under transformers' unchanged model code: one slot for each live request, each at its own length.

A decode step reads neighbouring rows of the buffers as a view, so live requests occupy rows 0, 1, 2 … without gaps. It
reads each of them as far as the longest one of its group, and what it masks there has to be finite: zero times NaN is
NaN. So what is not held is zero, and what a request has left is cleared before another one is there.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Self

from torch import Tensor
from transformers import DynamicCache, PreTrainedConfig
from transformers.cache_utils import (
    Cache,
    CacheLayerMixin,
    DummyLayer,
    DynamicLayer,
    DynamicSlidingWindowLayer,
    get_layer_types_and_kwargs,
)

from handlers.slot_buffer import SlotBuffer


class UnsupportedModelError(ValueError):
    """The engine would not give this model's own text, so it does not serve it."""


@dataclass(slots=True)
class Window:
    """Where the next forward pass writes and what it reads.

    rows: which slots are in the batch.
    row_index: [batch, 1], the same rows as an index.
    positions: [batch, tokens], the position of each new token in its sequence.
    length: positions 0 … length - 1 are read.
    before: how many of them were there before this pass, for a model that asks its cache; None where rows differ.
    """

    rows: slice
    row_index: Tensor
    positions: Tensor
    length: int
    before: int | None = None


class SlotLayer(CacheLayerMixin):
    """One layer's keys and values, each [slots, heads, capacity, head_dim], allocated at the first use."""

    keys: Tensor
    values: Tensor
    window: Window

    def __init__(self, slots: int, capacity: int) -> None:
        super().__init__()  # type: ignore[no-untyped-call]  # transformers leaves it untyped
        self.slots = slots
        self.capacity = capacity
        self._buffers: list[SlotBuffer] = []
        self._seq_length = 0

    def aim(self, window: Window) -> None:
        self.window = window
        self._seq_length = window.length if window.before is None else window.before

    def clear(self, slot: int, start: int) -> None:
        for buffer in self._buffers:
            buffer.clear(slot, start)

    def lazy_initialization(self, key_states: Tensor, value_states: Tensor) -> None:
        self._buffers = [
            SlotBuffer((self.slots, states.shape[1], self.capacity, states.shape[3]), states)
            for states in (key_states, value_states)
        ]
        self.keys, self.values = (buffer.states for buffer in self._buffers)
        self.is_initialized = True

    def update(self, key_states: Tensor, value_states: Tensor, *_: Any, **__: Any) -> tuple[Tensor, Tensor]:
        """Stores [batch, heads, tokens, head_dim] and returns what the batch may look at, as views."""
        if not self.is_initialized:
            self.lazy_initialization(key_states, value_states)
        window = self.window
        self._seq_length = window.length
        self.keys[window.row_index, :, window.positions] = key_states.transpose(1, 2)
        self.values[window.row_index, :, window.positions] = value_states.transpose(1, 2)
        return self.keys[window.rows, :, : window.length], self.values[window.rows, :, : window.length]

    def get_mask_sizes(self, query_length: int) -> tuple[int, int]:  # noqa: ARG002 - the interface is transformers'
        return self.window.length, 0

    def get_seq_length(self) -> int:
        return self._seq_length

    def get_max_length(self) -> int:
        return self.capacity


class SlotCache(Cache):
    def __init__(self, num_layers: int, slots: int, capacity: int) -> None:
        self._slot_layers = [SlotLayer(slots, capacity) for _ in range(num_layers)]
        super().__init__(layers=list(self._slot_layers))

    @classmethod
    def of(cls, states: Sequence[Tensor]) -> Self:
        """A cache over buffers that are there already: keys and values of each layer in turn."""
        slots, _, capacity, _ = states[0].shape
        cache = cls(len(states) // 2, slots, capacity)
        for layer, keys, values in zip(cache._slot_layers, states[::2], states[1::2], strict=True):
            layer.keys, layer.values, layer.is_initialized = keys, values, True
        return cache

    @property
    def states(self) -> list[Tensor]:
        """Keys and values of each layer in turn, once they are allocated.

        Raises UnsupportedModelError where a layer has none of its own.
        """
        if not self.is_allocated:
            raise UnsupportedModelError("some of its layers look at the keys and values of others: no compiled step")
        return [states for layer in self._slot_layers for states in (layer.keys, layer.values)]

    @property
    def bytes_of_a_position(self) -> int:
        """Bytes of a position of one row, in all layers; 0 until they are allocated."""
        layers = [layer for layer in self._slot_layers if layer.is_initialized]
        return sum(states[0, :, 0].nbytes for layer in layers for states in (layer.keys, layer.values))

    @property
    def num_bytes(self) -> int:
        """Bytes of all rows; 0 until they are allocated."""
        layers = [layer for layer in self._slot_layers if layer.is_initialized]
        return sum(states.nbytes for layer in layers for states in (layer.keys, layer.values))

    @property
    def is_allocated(self) -> bool:
        return all(layer.is_initialized for layer in self._slot_layers)

    def aim(self, window: Window) -> None:
        for layer in self._slot_layers:
            layer.aim(window)

    def copy(self, source: int, target: int, start: int, end: int) -> None:
        """Copies positions start … end - 1 of one slot into another."""
        for layer in self._slot_layers:
            if layer.is_initialized:
                layer.keys[target, :, start:end] = layer.keys[source, :, start:end]
                layer.values[target, :, start:end] = layer.values[source, :, start:end]

    def clear(self, slot: int, start: int = 0) -> None:
        """Forgets what a slot holds from a position on."""
        for layer in self._slot_layers:
            layer.clear(slot, start)


def num_cache_layers(config: PreTrainedConfig, context_length: int) -> int:
    """How many layers the model caches. Raises UnsupportedModelError as attention_layers does."""
    return len(attention_layers(config, context_length)) or config.get_text_config().num_hidden_layers


def attention_layers(config: PreTrainedConfig, context_length: int) -> list[tuple[str, object]]:
    """The type of each layer, by transformers' name, and what transformers would cache for it.

    Raises UnsupportedModelError when one of them needs more than the keys and values of all positions or of the last
    ones: linear attention, chunks shorter than the context, and the like.
    """
    try:
        layer_types, _ = get_layer_types_and_kwargs(config.get_text_config(decoder=True))
        layers: list[tuple[str, object]] = list(zip(layer_types, DynamicCache(config=config).layers, strict=True))
    except AttributeError as error:  # of a configuration that does not say how many layers there are
        raise UnsupportedModelError(f"transformers has no cache for {config.model_type} models: {error}") from error
    for layer_type, layer in layers:
        # A layer without keys and values of its own looks at another layer's.
        is_full = type(layer) in (DynamicLayer, DummyLayer)
        # A layer that looks at its own chunk is cached as a window is, but masked in another way.
        is_sliding = type(layer) is DynamicSlidingWindowLayer and (
            layer_type != "chunked_attention" or layer.sliding_window >= context_length
        )
        if not (is_full or is_sliding):
            raise UnsupportedModelError(
                f"{config.model_type} models keep a {type(layer).__name__} for {layer_type}; only full attention and"
                " sliding windows are supported"
            )
    return layers
