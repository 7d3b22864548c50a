from collections.abc import Callable, Iterator

import pytest
from transformers import PreTrainedModel

from handlers.run_ahead import RunAhead
from handlers.stop_news import TakeStops, no_stops
from tests.handlers.ended_worker import EndedWorker
from tests.handlers.run_ahead.counting_engine import CountingEngine


@pytest.fixture
def engine(llama: PreTrainedModel) -> CountingEngine:
    return CountingEngine(llama, [], slots=4, context_length=128)


@pytest.fixture
def ended() -> EndedWorker:
    return EndedWorker()


@pytest.fixture
def run(engine: CountingEngine, ended: EndedWorker) -> Iterator[Callable[..., RunAhead]]:
    made: list[RunAhead] = []

    def make(take_stops: TakeStops = no_stops, **bounds: float) -> RunAhead:
        made.append(RunAhead(engine, end_worker=ended, take_stops=take_stops, **bounds))
        return made[-1]

    yield make
    for run_ahead in made:
        run_ahead.close()
