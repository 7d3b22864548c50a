"""A sample of `make faults`: what becomes of calls when the worker is killed under them."""

from collections.abc import Iterator

import psutil
import pytest

from adapter.gateway import create_app
from adapter.settings import Settings
from adapter.torchserve.server_process import TorchServeProcess
from tests.fakes import serving
from tests.faults.callers import NUM_CALLERS, calling_who_know
from tests.faults.record import Fate
from tests.waiting import PATIENCE_WITH_WORKERS, wait_until

pytestmark = pytest.mark.torchserve


@pytest.fixture
def url(gateway_settings: Settings) -> Iterator[str]:
    """Of a gateway that keeps no answers."""
    with serving(create_app(gateway_settings.model_copy(update={"cache_max_age": 0}))) as url:
        yield url


def test_a_worker_that_is_killed_under_callers_loses_no_call_and_spoils_none(
    url: str, torchserve: TorchServeProcess
) -> None:
    def ready_worker() -> int | None:
        [description] = torchserve.management.describe("tiny")
        return next((worker.pid for worker in description.workers if worker.is_ready), None)

    with calling_who_know(url) as callers:
        callers.wait_for_more(2 * NUM_CALLERS, PATIENCE_WITH_WORKERS)
        killed = ready_worker()
        assert killed is not None
        psutil.Process(killed).kill()
        wait_until(lambda: ready_worker() not in {None, killed}, PATIENCE_WITH_WORKERS)
        callers.wait_for_more(2 * NUM_CALLERS, PATIENCE_WITH_WORKERS)
    assert callers.outcomes[Fate.RIGHT] > 0
    assert callers.outcomes[Fate.LOST] == callers.outcomes[Fate.WRONG] == 0
