import threading
import time

import pytest
from throttled import utils

from adapter.errors import RateLimited
from adapter.generation.rate_limit import RateLimiter, RateLimitError


class Clock:
    def __init__(self) -> None:
        self.now = 1_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(utils, "now_mono_f", clock)
    return clock


async def num_admitted(limiter: RateLimiter, caller: str, attempts: int = 100) -> int:
    for number in range(attempts):
        try:
            await limiter.admit(caller)
        except RateLimited:
            return number
    return attempts


@pytest.mark.usefixtures("clock")
@pytest.mark.parametrize(
    ("limit", "num_at_once"), [("60/minute", 60), ("2/s", 2), ("5 per hour", 5), ("60/minute burst 5", 5), (None, 100)]
)
async def test_admits_as_many_at_once_as_the_limit_says(limit: str | None, num_at_once: int) -> None:
    assert await num_admitted(RateLimiter(limit), "web") == num_at_once


async def test_slots_come_free_one_after_another(clock: Clock) -> None:
    limiter = RateLimiter("60/minute")
    await num_admitted(limiter, "web")
    clock.now += 3.01

    assert await num_admitted(limiter, "web") == 3


@pytest.mark.usefixtures("clock")
async def test_each_caller_has_a_limit_of_its_own() -> None:
    limiter = RateLimiter("3/minute")
    assert [await num_admitted(limiter, caller) for caller in ("web", "batch", "web")] == [3, 3, 0]


@pytest.mark.usefixtures("clock")
async def test_each_limiter_counts_for_itself() -> None:
    assert [await num_admitted(RateLimiter("3/minute"), "web") for _ in range(2)] == [3, 3]


@pytest.mark.usefixtures("clock")
async def test_callers_beyond_the_stores_default_size_are_not_forgotten() -> None:
    limiter = RateLimiter("1/hour")
    for number in range(2_000):
        await limiter.admit(f"key-{number}")

    assert await num_admitted(limiter, "key-0") == 0


@pytest.mark.parametrize("limit", ["60/minute", "7/minute", "3/second", "1000/hour", "2/minute"])
async def test_who_waits_as_long_as_told_is_admitted(clock: Clock, limit: str) -> None:
    limiter = RateLimiter(limit)
    for _ in range(20):
        await num_admitted(limiter, "web", attempts=2_000)
        with pytest.raises(RateLimited) as refused:
            await limiter.admit("web")
        clock.now += refused.value.retry_after or 0
        await limiter.admit("web")


@pytest.mark.usefixtures("clock")
@pytest.mark.parametrize(("limit", "seconds"), [("100/second", 1), ("2/minute", 30), ("1/day", 60)])
async def test_the_delay_is_one_that_clients_heed(limit: str, seconds: int) -> None:
    limiter = RateLimiter(limit)
    await num_admitted(limiter, "web", attempts=200)
    with pytest.raises(RateLimited) as refused:
        await limiter.admit("web")

    assert refused.value.retry_after == refused.value.to_problem().retry_after == seconds


async def test_the_detail_tells_the_true_delay() -> None:
    limiter = RateLimiter("1/day")
    await limiter.admit("web")
    with pytest.raises(RateLimited, match=r"in 86400 s"):
        await limiter.admit("web")


async def test_a_wall_clock_that_is_set_back_changes_nothing(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    limiter = RateLimiter("60/minute")
    await num_admitted(limiter, "web")
    monkeypatch.setattr(time, "time", lambda: 0.0)
    clock.now += 3.01

    assert await num_admitted(limiter, "web") == 3


async def test_starts_no_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    started: list[threading.Thread] = []
    monkeypatch.setattr(threading.Thread, "start", started.append)
    await num_admitted(RateLimiter("60/minute"), "web")
    assert started == []


@pytest.mark.parametrize(
    "limit", ["", "60", "minute", "0/minute", "-1/minute", "60/fortnight", "60/m;2/s", "1.5/s", "5/s burst 0"]
)
def test_refuses_to_start_with_what_is_no_rate(limit: str) -> None:
    with pytest.raises(RateLimitError, match="TORCHBRIDGE_RATE_LIMIT: "):
        RateLimiter(limit)


async def test_that_other_gateways_do_not_count_in_it_is_said_once(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    await num_admitted(RateLimiter(None), "web")
    assert caplog.messages == []
    await num_admitted(RateLimiter("60/minute"), "web")
    assert caplog.messages == [
        "the rate limit is this gateway's alone: gateways with one TORCHBRIDGE_REDIS_URL share theirs"
    ]
