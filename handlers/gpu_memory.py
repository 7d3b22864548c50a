"""How much of a cache fits on a GPU, where it takes its whole memory at once; on the CPU it takes what is used."""

import logging
from typing import NamedTuple

import torch
from transformers import DynamicCache, PreTrainedModel
from transformers.cache_utils import DynamicLayer

from handlers.slot_cache import UnsupportedModelError

logger = logging.getLogger(__name__)

# The cache's share of free memory. The rest is for what a step computes with: states, logits, a sorted vocabulary.
_SHARE = 0.9
_MOST_PREFIX_SHARE = 4  # kept prefixes take no more than one in so many rows


class CacheRows(NamedTuple):
    """Rows of the cache: for requests that run at once, and for those that have ended (engine.py)."""

    slots: int
    prefix_slots: int


def rows_of_cache(model: PreTrainedModel, context_length: int, wanted: CacheRows) -> CacheRows:
    """As many of the wanted rows as the model's device has memory for. With fewer slots requests wait for one.

    Raises UnsupportedModelError where not even one row fits.
    """
    if model.device.type != "cuda":
        return wanted
    rows = rows_that_fit(wanted, context_length, bytes_of_token(model), free_bytes(model.device))
    if rows != wanted:
        logger.warning(
            "torchbridge: the GPU's memory holds %d requests of %d tokens at once, and %d prefixes, not the %d and %d"
            " that batchSize and prefix_slots ask for; a shorter context_length leaves room for more",
            *(rows.slots, context_length, rows.prefix_slots, wanted.slots, wanted.prefix_slots),
        )
    return rows


def rows_that_fit(wanted: CacheRows, context_length: int, token_bytes: int, free: int) -> CacheRows:
    """`free`: bytes of the device's memory. Raises UnsupportedModelError as rows_of_cache does."""
    tokens = int(_SHARE * free) // token_bytes
    rows = tokens // context_length
    if rows == 0:
        needed, left = context_length * token_bytes / 2**30, free / 2**30
        raise UnsupportedModelError(
            f"one request of {context_length} tokens takes a cache of {needed:.2f} GiB, and the GPU has {left:.2f} GiB"
            f" left beside the weights: a context_length of at most {tokens} fits"
        )
    if rows >= sum(wanted):
        return wanted
    prefix_slots = min(wanted.prefix_slots, rows // _MOST_PREFIX_SHARE)
    return CacheRows(min(wanted.slots, rows - prefix_slots), prefix_slots)


@torch.inference_mode()
def bytes_of_token(model: PreTrainedModel) -> int:
    """Keys and values of all layers together, as the model itself makes them: configurations name them unlike."""
    cache = DynamicCache(config=model.config)
    first = torch.zeros(1, 1, dtype=torch.long, device=model.device)
    model(input_ids=first, past_key_values=cache, use_cache=True)
    layers = [layer for layer in cache.layers if isinstance(layer, DynamicLayer)]
    return sum(states.nbytes for layer in layers for states in (layer.keys, layer.values) if states is not None)


def free_bytes(device: torch.device) -> int:
    """Bytes that the device has left for this process, with those that its allocator holds without use."""
    free, _ = torch.cuda.mem_get_info(device)
    return free + torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
