"""What fits on a GPU is computed from numbers that the CPU has, too."""

import pytest
import torch
from transformers import PreTrainedModel

from handlers import gpu_memory
from handlers.engine import Engine
from handlers.gpu_memory import CacheRows, bytes_of_token, rows_of_cache, rows_that_fit
from handlers.sampling import SamplingParameters
from handlers.slot_cache import UnsupportedModelError
from tests.handlers.conftest import make_model

WANTED = CacheRows(64, 8)
CONTEXT_LENGTH, TOKEN_BYTES = 4_096, 131_072  # Llama-3.1-8B in 16 bits
ROW = CONTEXT_LENGTH * TOKEN_BYTES


def free_for(rows: float) -> int:
    return int(rows * ROW / 0.9) + 1


def test_all_rows_that_are_wanted_are_there_where_they_fit() -> None:
    assert rows_that_fit(WANTED, CONTEXT_LENGTH, TOKEN_BYTES, free_for(72)) == WANTED


def test_fewer_rows_where_they_do_not_and_most_of_them_for_requests() -> None:
    assert rows_that_fit(WANTED, CONTEXT_LENGTH, TOKEN_BYTES, free_for(71)) == CacheRows(63, 8)
    assert rows_that_fit(WANTED, CONTEXT_LENGTH, TOKEN_BYTES, free_for(25)) == CacheRows(19, 6)
    assert rows_that_fit(WANTED, CONTEXT_LENGTH, TOKEN_BYTES, free_for(1)) == CacheRows(1, 0)


def test_a_context_of_which_no_row_fits_is_refused_with_the_tokens_that_do() -> None:
    with pytest.raises(UnsupportedModelError, match="a context_length of at most 3072 fits"):
        rows_that_fit(WANTED, CONTEXT_LENGTH, TOKEN_BYTES, free_for(0.75))


def test_a_tokens_bytes_are_those_of_the_cache_that_the_engine_allocates(any_model: PreTrainedModel) -> None:
    engine = Engine(any_model, (), slots=3, context_length=32, prefix_slots=2)
    engine.submit("first", [1], 1, SamplingParameters())
    engine.step()

    assert bytes_of_token(any_model) * 5 * 32 == sum(states.nbytes for states in engine._rows.cache.states)


def test_on_the_cpu_the_wanted_rows_are_taken_whatever_their_size() -> None:
    assert rows_of_cache(make_model("llama"), 10**9, WANTED) == WANTED


def test_on_a_gpu_its_free_memory_decides_and_the_log_says_so(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    model = make_model("llama")
    row = 32 * bytes_of_token(model)
    monkeypatch.setattr(gpu_memory, "bytes_of_token", lambda _: row // 32)
    monkeypatch.setattr(gpu_memory, "free_bytes", lambda _: int(10 * row / 0.9) + 1)
    monkeypatch.setattr(type(model), "device", property(lambda _: torch.device("cuda:0")))

    assert rows_of_cache(model, 32, WANTED) == CacheRows(8, 2)
    assert "holds 8 requests of 32 tokens at once, and 2 prefixes, not the 64 and 8" in caplog.text
