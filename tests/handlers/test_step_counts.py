"""What a worker says of its engine: counted where it runs, and written where the gateway looks."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from transformers import PreTrainedModel

from adapter.compilation import COMPILATIONS_VARIABLE
from adapter.engine_figures import EngineFigures
from handlers.engine import Engine
from handlers.figures_writer import FiguresWriter, write_figures
from handlers.run_ahead import RunAhead
from handlers.sampling import SamplingParameters
from handlers.step_counts import StepCounts
from tests.waiting import PATIENCE, wait_until

PROMPT = list(range(1, 41))


@pytest.fixture
def run_ahead(llama: PreTrainedModel) -> Iterator[RunAhead]:
    engine = Engine(llama, [], slots=4, context_length=128, prefix_slots=2)
    run_ahead = RunAhead(engine, silence=PATIENCE)
    yield run_ahead
    run_ahead.close()


def generate(run_ahead: RunAhead, request_id: str, prompt: list[int], num_tokens: int) -> EngineFigures:
    run_ahead.submit(request_id, prompt, num_tokens, SamplingParameters())
    ended = False
    while not ended:
        ended = any(request_id in step.ended for step in run_ahead.collect(1))
    return run_ahead.counts.figures()


def test_tokens_are_counted_by_where_they_come_from(run_ahead: RunAhead) -> None:
    first = generate(run_ahead, "first", PROMPT, 5)
    assert (first.prompt_tokens, first.prefix_tokens, first.answer_tokens) == (39, 0, 5)
    second = generate(run_ahead, "second", [*PROMPT, 50, 51, 52], 3)
    assert (second.prompt_tokens, second.prefix_tokens, second.answer_tokens) == (39 + 2, 40, 5 + 3)


def test_each_step_is_counted_with_its_rows_and_its_time(run_ahead: RunAhead) -> None:
    figures = generate(run_ahead, "first", PROMPT, 5)
    assert sum(figures.step_rows.counts) == sum(figures.step_seconds.counts) >= 5
    assert figures.step_rows.total == 5
    assert figures.step_seconds.total > 0


def test_the_cache_and_the_slots_are_told(run_ahead: RunAhead, llama: PreTrainedModel) -> None:
    figures = generate(run_ahead, "first", PROMPT, 5)
    heads, size = llama.config.num_key_value_heads, llama.config.hidden_size // llama.config.num_attention_heads
    assert figures.cache_bytes == 2 * llama.config.num_hidden_layers * 6 * heads * size * 128 * 4
    assert (figures.slots, figures.running, figures.waiting) == (4, 0, 0)
    assert figures.resident_bytes > figures.cache_bytes


def test_what_the_engine_did_before_it_served_is_not_counted(llama: PreTrainedModel) -> None:
    engine = Engine(llama, [], slots=4, context_length=128)
    engine.submit("check", PROMPT, 1, SamplingParameters())
    while engine.has_work:
        engine.step()
    assert engine.num_computed == 39
    assert StepCounts(engine).figures().prompt_tokens == 0


def test_a_worker_writes_its_figures_and_forgets_those_of_the_dead(
    run_ahead: RunAhead, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(COMPILATIONS_VARIABLE, str(tmp_path))
    figures = generate(run_ahead, "first", PROMPT, 5)
    dead = tmp_path / "tiny" / "1.0.999999999.figures"
    dead.parent.mkdir()
    dead.touch()
    write_figures(run_ahead.counts.figures, "tiny", "1.0")
    wait_until(lambda: EngineFigures.read(tmp_path, "tiny", "1.0", os.getpid()) is not None)
    written = EngineFigures.read(tmp_path, "tiny", "1.0", os.getpid())
    assert written is not None
    assert written.answer_tokens == figures.answer_tokens
    assert not dead.exists()


def test_an_idle_engine_writes_nothing(run_ahead: RunAhead, tmp_path: Path) -> None:
    writer = FiguresWriter(run_ahead.counts.figures, tmp_path, "tiny", "1.0")
    writer.write()
    [file] = (tmp_path / "tiny").iterdir()
    file.unlink()
    writer.write()
    assert not file.exists()
    generate(run_ahead, "first", PROMPT, 5)
    writer.write()
    assert file.exists()


def test_a_full_disk_is_no_reason_to_stop(run_ahead: RunAhead, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    FiguresWriter(run_ahead.counts.figures, tmp_path / "file", "tiny", "1.0").write()
