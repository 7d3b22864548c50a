import mmap

import pytest
import torch

from handlers.slot_buffer import SlotBuffer
from tests.handlers.resident_memory import resident_bytes

PAGE = mmap.PAGESIZE
SLOTS, HEADS, HEAD_DIM = 3, 2, 16
# Positions of a head: whole pages of float32, no whole number of them, and less than one.
CAPACITIES = [8 * PAGE // (4 * HEAD_DIM), 1_000, 5]


def make_buffer(capacity: int, dtype: torch.dtype = torch.float32) -> SlotBuffer:
    return SlotBuffer((SLOTS, HEADS, capacity, HEAD_DIM), torch.empty(0, dtype=dtype))


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("capacity", CAPACITIES)
def test_what_is_cleared_is_zero_and_nothing_else_is(capacity: int, dtype: torch.dtype) -> None:
    for slot in range(SLOTS):
        for start in (0, 1, capacity // 2, capacity - 1):
            buffer = make_buffer(capacity, dtype)
            buffer.states.fill_(float("nan"))
            expected = buffer.states.clone()
            expected[slot, :, start:] = 0

            buffer.clear(slot, start)

            assert torch.equal(buffer.states.isnan(), expected.isnan())
            assert not buffer.states[slot, :, start:].any()


def test_what_is_read_takes_no_memory_and_what_is_written_takes_its_pages() -> None:
    buffer = make_buffer(CAPACITIES[0])
    before = resident_bytes([buffer.states])
    assert not buffer.states.any()
    after_reading = resident_bytes([buffer.states])
    buffer.states[1, 0, 0] = 1

    assert after_reading == before
    assert resident_bytes([buffer.states]) == before + PAGE


def test_what_is_cleared_gives_its_pages_back() -> None:
    buffer = make_buffer(CAPACITIES[0])
    before = resident_bytes([buffer.states])
    buffer.states.fill_(1)
    full = resident_bytes([buffer.states])
    buffer.clear(0, 0)
    without_one = resident_bytes([buffer.states])
    buffer.clear(1, CAPACITIES[0] // 2)
    without_one_and_a_half = resident_bytes([buffer.states])

    assert full - before == buffer.states.nbytes
    assert full - without_one == buffer.states.nbytes // SLOTS
    assert full - without_one_and_a_half == buffer.states.nbytes // SLOTS * 3 // 2


def test_the_memory_lives_as_long_as_a_view_of_it() -> None:
    view = make_buffer(CAPACITIES[0]).states[1]
    view.fill_(3)

    assert float(view.sum()) == 3 * view.numel()
