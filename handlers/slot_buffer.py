"""Memory for a cache that is far larger than what it mostly holds: on the CPU it takes what has been written to it."""

import math
import mmap
from contextlib import suppress

import torch
from torch import Tensor


class SlotBuffer:
    """`states`: zeros, [slots, heads, capacity, head_dim], of the device and type of `like`."""

    def __init__(self, shape: tuple[int, int, int, int], like: Tensor) -> None:
        self._pages = _Pages(math.prod(shape) * like.element_size()) if like.device.type == "cpu" else None
        self.states = like.new_zeros(shape) if self._pages is None else self._pages.view(shape, like.dtype)

    def clear(self, slot: int, start: int) -> None:
        """Positions from `start` on are zeros again; on the CPU their memory is given back."""
        if self._pages is None:
            self.states[slot, :, start:] = 0
            return
        _, heads, capacity, head_dim = self.states.shape
        strip = capacity * head_dim * self.states.element_size()
        begin, skipped = slot * heads * strip, start * strip // capacity
        # A whole slot is one piece, the rest of one a piece for each head.
        pieces = [(begin + head * strip + skipped, strip - skipped) for head in range(heads)]
        for first, size in pieces if skipped else [(begin, heads * strip)]:
            self._pages.clear(first, first + size)


class _Pages:
    """Bytes of an anonymous private map: the kernel has one page of zeros for all that was only read.

    With a shared map it would allocate what is read (mm/shmem.c), and a step reads every row as far as its longest.
    """

    def __init__(self, size: int) -> None:
        self._map = mmap.mmap(-1, size, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
        with suppress(OSError):  # a kernel without huge pages; with them 2 MB would come for each first byte
            self._map.madvise(mmap.MADV_NOHUGEPAGE)

    def view(self, shape: tuple[int, ...], dtype: torch.dtype) -> Tensor:
        return torch.frombuffer(self._map, dtype=dtype).view(shape)  # which keeps the map

    def clear(self, begin: int, end: int) -> None:
        """Bytes begin … end - 1 are zeros; whole pages among them are none of ours until they are written again."""
        first, last = -(-begin // mmap.PAGESIZE) * mmap.PAGESIZE, end // mmap.PAGESIZE * mmap.PAGESIZE
        if first >= last:
            self._map[begin:end] = bytes(end - begin)
            return
        self._map[begin:first] = bytes(first - begin)
        self._map.madvise(mmap.MADV_DONTNEED, first, last - first)
        self._map[last:end] = bytes(end - last)
