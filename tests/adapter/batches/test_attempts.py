from itertools import takewhile

import pytest

from adapter.batches.attempts import Attempts
from adapter.errors import (
    GenerationFailed,
    InvalidRequest,
    ModelNotFound,
    ModelNotReady,
    OutOfMemory,
    Overloaded,
    PromptTooLong,
    TorchbridgeError,
    UpstreamLost,
    UpstreamUnavailable,
    VersionNotFound,
    WorkerDied,
)
from adapter.settings import LOAD_TIMEOUT


def delays(failure: TorchbridgeError, number: int) -> list[float | None]:
    attempts = Attempts(first_delay=1)
    return [attempts.delay_after(failure) for _ in range(number)]


@pytest.mark.parametrize("kind", [Overloaded, ModelNotReady, UpstreamUnavailable, UpstreamLost])
def test_what_is_wrong_with_the_server_is_waited_out_at_a_growing_distance(kind: type[TorchbridgeError]) -> None:
    waited = delays(kind("later"), 50)
    assert all(each is not None and 1 <= each <= 45 for each in waited)
    assert waited[4] > waited[0] + 8


@pytest.mark.parametrize("kind", [WorkerDied, OutOfMemory])
def test_what_may_be_its_own_fault_has_an_end(kind: type[TorchbridgeError]) -> None:
    waited = delays(kind("no"), 8)
    assert (None in waited[:7], waited[7]) == (False, None)


@pytest.mark.parametrize("kind", [ModelNotFound, VersionNotFound])
def test_a_version_that_is_gone_is_waited_for_longer_than_a_start_takes_to_load_it(
    kind: type[TorchbridgeError],
) -> None:
    before_the_end = list(takewhile(lambda each: each is not None, delays(kind("no"), 500)))
    assert 2 * LOAD_TIMEOUT < sum(before_the_end) < 24 * LOAD_TIMEOUT


@pytest.mark.parametrize(
    "failure",
    [InvalidRequest("no"), PromptTooLong("no"), GenerationFailed("no"), Overloaded("no", is_final=True)],
    ids=lambda failure: type(failure).__name__,
)
def test_what_will_not_pass_is_not_tried_again(failure: TorchbridgeError) -> None:
    assert delays(failure, 1) == [None]


def test_what_two_workers_died_on_is_tried_once_more() -> None:
    first, second = delays(WorkerDied("twice", is_final=True), 2)
    assert (first is not None, second) == (True, None)
