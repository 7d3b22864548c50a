"""What dies or stands still under `torchbridge serve` comes back, and whoever can wait does not notice.

One server for all tests here: each leaves it as it found it. Its model is the light one, which is there again in a
second; what models themselves write behind the death of a worker is for test_continuations.py.
"""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path

import psutil
import pytest
import requests

from adapter.schema import MAX_LENGTH, DeltaEvent, DoneEvent
from tests.calling import Callers, calling
from tests.end_to_end.asked_serve import Server
from tests.end_to_end.gateway_calls import expect_problem, stream
from tests.end_to_end.own_serve import serving_light_model
from tests.end_to_end.versions.light_handler import LETTER, NO_TEXT
from tests.end_to_end.versions.long_answer import LongAnswer
from tests.faults.made import kill_the_worker
from tests.faults.record import Fate, Outcome
from tests.faults.under_load import make_fault
from tests.processes import has_status
from tests.waiting import wait_until

pytestmark = pytest.mark.torchserve

SILENCE_TIMEOUT = 16  # seconds: TorchServe is killed after half of it
NUM_CALLERS = 16  # as many as the worker has slots
PROMPTS = [f"Once upon {number}" for number in range(NUM_CALLERS)]
LENGTH = 300
TRIES = 4


@pytest.fixture(scope="module")
def started(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    environment = {"TORCHBRIDGE_SILENCE_TIMEOUT": str(SILENCE_TIMEOUT), "TORCHBRIDGE_CACHE_MAX_AGE": "0"}
    with serving_light_model(tmp_path_factory.mktemp("serve"), environment) as served:
        yield Server(**vars(served))


@pytest.fixture
def server(started: Server) -> Server:
    wait_until(started.has_ready_worker)
    started.wait_until_it_serves()
    return started


def begin(
    server: Server, pool: ThreadPoolExecutor, prompts: Sequence[str], length: int = LENGTH
) -> list[Future[requests.Response]]:
    """Answers of which all are being written when this returns."""
    worker = server.worker()
    worker.suspend()  # so that the first ones have not ended when the last ones come, however slowly that is
    try:
        answers = [pool.submit(server.post, prompt=prompt, max_length=length) for prompt in prompts]
        wait_until(lambda: server.metric("live_requests") == len(prompts))
    finally:
        worker.resume()
    wait_until(lambda: server.describe().job_queue_status.pending_requests == 0)  # the worker has them
    return answers


def texts(answers: list[Future[requests.Response]]) -> list[str]:
    assert [answer.result().status_code for answer in answers] == [200] * len(answers)
    return [answer.result().json()["text"] for answer in answers]


def test_a_worker_that_is_killed_under_as_many_as_it_has_slots_fails_none_of_them(server: Server) -> None:
    with ThreadPoolExecutor(NUM_CALLERS) as pool:
        for _ in range(TRIES):
            wait_until(server.is_ready)
            num_retries = server.metric("retries_total")
            answers = begin(server, pool, PROMPTS)
            worker = server.worker()
            worker.kill()
            wait_until(lambda worker=worker: server.has_lost(worker))
            is_ready, is_served = server.is_ready(), server.is_served(within=0.1)
            is_still_gone = not server.has_ready_worker()
            assert texts(answers) == [LETTER * LENGTH] * NUM_CALLERS
            if is_still_gone and server.metric("retries_total") - num_retries > NUM_CALLERS / 2:  # they were there
                break
        else:
            pytest.fail("the machine was never quick enough to kill it under them")
    assert (is_ready, is_served) == (False, False)


def test_a_stream_goes_on_behind_the_death_of_its_worker(server: Server, tmp_path: Path) -> None:
    num_continuations, long = server.metric("continuations_total"), LongAnswer(tmp_path / "ended")
    with stream(server.url, **long.request) as (_, events):
        assert [next(events).type, (first := next(events)).type] == ["start", "delta"]
        server.worker().kill()
        wait_until(lambda: server.metric("continuations_total") == num_continuations + 1)
        long.end()
        *deltas, last = events
    assert isinstance(last, DoneEvent)
    assert last.response.text == "".join(each.text for each in (first, *deltas) if isinstance(each, DeltaEvent))
    assert last.response.text == LETTER * last.response.tokens_generated


def test_a_worker_that_is_killed_before_any_text_fails_no_unary_request(server: Server) -> None:
    worker = server.worker()
    with ThreadPoolExecutor(1) as pool:
        worker.suspend()  # so that nothing can be produced before its end
        answer = pool.submit(server.post, prompt="Once", max_length=3)
        wait_until(lambda: is_in_the_worker(server))
        worker.kill()
        assert texts([answer]) == [LETTER * 3]


def is_in_the_worker(server: Server) -> bool:
    return server.metric("running_requests") == 1 and server.describe().job_queue_status.pending_requests == 0


def test_a_worker_that_is_killed_under_callers_loses_no_call_and_spoils_none(server: Server) -> None:
    """A sample of `make faults`, which makes the others, too, and with models/tiny."""
    outcome, fates, _ = make_fault(kill_the_worker, server)
    assert outcome is Outcome.HELD
    assert fates[Fate.RIGHT] > 0
    assert fates[Fate.LOST] == fates[Fate.WRONG] == 0


def test_what_was_there_at_death_after_death_is_told_so(server: Server) -> None:
    with ThreadPoolExecutor(1) as pool:
        [answer] = begin(server, pool, [NO_TEXT])
        for _ in range(2 * TRIES):  # at the second one already, where it was the worker that had it
            wait_until(lambda: answer.done() or server.has_ready_worker())
            wait_until(lambda: answer.done() or is_in_the_worker(server))
            if answer.done():
                break
            worker = server.worker()
            worker.kill()
            wait_until(lambda worker=worker: server.has_lost(worker))
    assert expect_problem(answer.result(), "worker_died").retryable is False


def calling_on(server: Server) -> AbstractContextManager[Callers[int]]:
    """What becomes of each call is its status."""

    def caller(number: int) -> AbstractContextManager[Callable[[], int]]:
        return nullcontext(lambda: server.post(prompt=f"Once {number}", max_length=50).status_code)

    return calling([caller(number) for number in range(16)])


def test_a_torchserve_that_is_killed_under_callers_fails_none_of_them(server: Server) -> None:
    with calling_on(server) as callers:
        wait_until(lambda: server.metric("live_requests") >= 8)
        java = server.java()
        java.kill()
        wait_until(lambda: not java.is_running())
        is_ready, is_served = server.is_ready(), server.is_served(within=0.1)
        is_still_gone = not server.has_ready_worker()  # else this machine stood still until it was there again
        wait_until(server.has_ready_worker)
    assert not (is_still_gone and (is_ready or is_served))
    assert set(callers.outcomes) == {200}
    assert server.java().pid != java.pid


def test_a_torchserve_that_stands_still_is_killed_and_its_callers_are_answered(server: Server) -> None:
    with calling_on(server) as callers:
        wait_until(lambda: server.metric("live_requests") >= 8)
        java = server.java()
        java.suspend()
        wait_until(lambda: java.status() == psutil.STATUS_STOPPED)
        wait_until(lambda: not java.is_running())
        wait_until(server.has_ready_worker)
    assert set(callers.outcomes) == {200}


def test_it_is_not_ready_while_its_worker_stands_still(server: Server) -> None:
    worker = server.worker()
    worker.suspend()
    wait_until(lambda: worker.status() == psutil.STATUS_STOPPED)
    assert not server.is_served()
    assert server.has_ready_worker()  # as TorchServe says
    expect_problem(server.readiness(), "model_not_ready")
    worker.resume()
    server.wait_until_it_serves()


def test_it_is_not_ready_while_torchserve_stands_still(server: Server) -> None:
    for _ in range(TRIES):
        java = server.java()
        java.suspend()
        wait_until(lambda java=java: has_status(java, psutil.STATUS_STOPPED) or not java.is_running())
        with ThreadPoolExecutor(2) as pool:
            is_served, readiness = pool.submit(server.is_served), pool.submit(server.readiness)
            wait([is_served, readiness])
        if has_status(java, psutil.STATUS_STOPPED):  # and was not killed by then
            java.resume()
            break
        wait_until(server.has_ready_worker)
        server.wait_until_it_serves()
    else:
        pytest.fail("the machine was never quick enough to ask before it is killed")
    assert not is_served.result()
    expect_problem(readiness.result(), "model_not_ready")


def test_it_is_ready_while_all_slots_are_taken(server: Server, tmp_path: Path) -> None:
    all_long = [LongAnswer(tmp_path / str(number)) for number in range(NUM_CALLERS)]
    with ThreadPoolExecutor(NUM_CALLERS) as pool:
        try:
            answers = begin(server, pool, [str(long.file) for long in all_long], MAX_LENGTH)
            is_ready = server.is_ready()
            assert server.metric("live_requests") == NUM_CALLERS
        finally:
            for long in all_long:
                long.end()
        texts(answers)
    assert is_ready


def test_it_is_ready_where_nothing_can_be_written_to_the_disk_any_more(server: Server) -> None:
    before = {process: process.rlimit(psutil.RLIMIT_FSIZE) for process in server.processes()}
    for process, (_, hard) in before.items():
        process.rlimit(psutil.RLIMIT_FSIZE, (0, hard))
    try:
        served = [server.is_served() for _ in range(3)]
        assert server.is_ready() == all(served)
    finally:
        for process, limits in before.items():
            process.rlimit(psutil.RLIMIT_FSIZE, limits)


def test_without_workers_it_is_not_ready_and_not_overloaded(server: Server) -> None:
    server.management.scale("light", "1.0", 0)
    try:
        wait_until(lambda: server.describe().workers == ())
        expect_problem(server.post(timeout=60, prompt="Once", max_length=1), "model_not_ready")
        expect_problem(server.readiness(), "model_not_ready")
    finally:
        server.management.scale("light", "1.0", 1)
