"""The cache takes the memory of the tokens that it holds, whoever runs beside whom and whoever has been there."""

import mmap

import pytest
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedModel

from handlers.engine import Engine
from handlers.sampling import SamplingParameters
from tests.handlers.resident_memory import resident_bytes

CONTEXT_LENGTH, SLOTS, SHORT, LONG = 4_096, 64, 10, 3_900
GREEDY = SamplingParameters()


@pytest.fixture(scope="module")
def model() -> PreTrainedModel:
    return LlamaForCausalLM(
        LlamaConfig(
            vocab_size=99,
            hidden_size=32,
            intermediate_size=32,
            num_hidden_layers=1,
            num_attention_heads=2,
            num_key_value_heads=2,
            max_position_embeddings=CONTEXT_LENGTH,
        )
    ).eval()


def make_engine(model: PreTrainedModel, *, prefix_slots: int = 0) -> Engine:
    engine = Engine(model, (), slots=SLOTS, context_length=CONTEXT_LENGTH, prefix_slots=prefix_slots)
    engine.submit("first", [1], 1, GREEDY)
    engine.step()  # which allocates the cache
    return engine


def run_until(engine: Engine, running: int) -> None:
    while (step := engine.step()) is None or len(step.ids) < running:
        pass


def submit_short_ones(engine: Engine, count: int) -> None:
    for number in range(count):
        engine.submit(str(number), [number] * SHORT, 1_000, GREEDY)


def resident(engine: Engine) -> int:
    return resident_bytes(engine._rows.cache.states)


def most_bytes(engine: Engine, *lengths: int) -> int:
    """Of rows with so many tokens: each head's keys and values begin and end on pages of their own."""
    states = engine._rows.cache.states
    _, heads, _, head_dim = states[0].shape
    per_page = mmap.PAGESIZE // (head_dim * states[0].element_size())
    return len(states) * heads * mmap.PAGESIZE * sum(-(-length // per_page) + 1 for length in lengths)


def test_a_long_row_makes_no_short_one_longer(model: PreTrainedModel) -> None:
    engine = make_engine(model)
    before = resident(engine)
    submit_short_ones(engine, SLOTS - 1)
    engine.submit("long", [7] * LONG, 100, GREEDY)
    run_until(engine, SLOTS)

    taken = resident(engine) - before
    assert taken >= LONG * 2 * 32 * 4  # one layer's keys and values of it are there
    assert taken <= most_bytes(engine, LONG + 100, *[2 * SHORT + LONG // 256] * (SLOTS - 1))


@pytest.mark.parametrize("place", [0, 30, 63], ids=["first", "in the middle", "last"])
def test_a_long_row_that_ends_gives_its_memory_back(model: PreTrainedModel, place: int) -> None:
    engine = make_engine(model)
    before = resident(engine)
    submit_short_ones(engine, place)
    engine.submit("long", [7] * LONG, 1_000, GREEDY)
    for number in range(place, SLOTS - 1):
        engine.submit(str(number), [number] * SHORT, 1_000, GREEDY)
    run_until(engine, SLOTS)
    beside_it = resident(engine) - before
    engine.cancel("long")

    assert beside_it - (resident(engine) - before) >= (LONG - 200) * 2 * 32 * 4
    assert resident(engine) - before <= most_bytes(engine, *[200] * (SLOTS - 1))


def test_nothing_stays_when_all_have_ended(model: PreTrainedModel) -> None:
    engine = make_engine(model)
    before = resident(engine)
    submit_short_ones(engine, 5)
    engine.submit("long", [7] * LONG, 100, GREEDY)
    run_until(engine, 6)
    assert resident(engine) > before
    engine.cancel_all()

    assert resident(engine) == before


def test_a_prompt_that_is_cancelled_halfway_leaves_nothing(model: PreTrainedModel) -> None:
    engine = make_engine(model)
    submit_short_ones(engine, 1)
    run_until(engine, 1)
    before = resident(engine)
    engine.submit("long", [7] * LONG, 100, GREEDY)
    while resident(engine) - before < 1_000 * 2 * 32 * 4:
        engine.step()
    engine.cancel("long")

    assert resident(engine) - before <= most_bytes(engine, 100)


def test_a_kept_row_gives_back_what_its_next_one_does_not_need(model: PreTrainedModel) -> None:
    engine = make_engine(model, prefix_slots=1)
    before = resident(engine)
    engine.submit("long", [7] * LONG, 2, GREEDY)
    while engine.has_work:
        engine.step()
    kept = resident(engine) - before
    engine.submit("short", [8] * 40, 2, GREEDY)
    while engine.has_work:
        engine.step()

    assert kept >= LONG * 2 * 32 * 4
    assert resident(engine) - before <= most_bytes(engine, 42)
