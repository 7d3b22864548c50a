"""While somebody abuses the gateway, everybody else's streams go on.

The measure is a second stream of the same batch that does not come through the gateway: with each token of the one the
worker makes a token of the other. A gateway that stands still falls behind it, however fast or slow the machine is.
"""

import os
import threading
import uuid
from collections.abc import Iterator
from itertools import groupby
from typing import Self

import pytest
import requests

from adapter.event_stream import EventDecoder
from adapter.settings import Settings
from adapter.torchserve.server_process import TorchServeProcess
from benchmarks.abused_gateway import AbusedGateway
from benchmarks.abuses import ABUSES
from tests.end_to_end.gateway_calls import TIMEOUT, stream
from tests.waiting import wait_until

pytestmark = pytest.mark.torchserve

ENDLESS = {"prompt": "Once", "max_length": 32_000}
NEXT_EVENTS = 20
MOST_BEHIND = 40  # events, each of which takes the worker 20 ms or more
# What holds the loop does so in each turn of an abuse.
SHARE = 1.0 if "TORCHBRIDGE_TEST_EVERY_POINT" in os.environ else 0.2
TRIES = 4  # what holds the loop does so at each; a machine that gives the gateway no turn for a second, now and then


@pytest.fixture(scope="module")
def gateway(gateway_settings: Settings) -> Iterator[AbusedGateway]:
    settings = gateway_settings
    with AbusedGateway(
        settings.torchserve_url, settings.management_url, settings.key_file, settings.model_store
    ) as gateway:
        yield gateway


class Arrivals:
    """The events of two streams of one batch, in the order in which they came: who waits for both sees it as one."""

    def __init__(self, gateway: AbusedGateway, torchserve: TorchServeProcess) -> None:
        self.order: list[str] = []
        self._gateway, self._torchserve = gateway, torchserve
        self._has_left = False
        self._threads: list[threading.Thread] = []

    def __enter__(self) -> Self:
        for read in (self._read_through_the_gateway, self._read_beside_it):
            self._threads.append(threading.Thread(target=read))
            self._threads[-1].start()
        try:
            wait_until(lambda: min(map(self.order.count, ("gateway", "beside"))) >= NEXT_EVENTS)
        except BaseException:
            self._leave()
            raise
        return self

    def __exit__(self, *exception: object) -> None:
        self._leave()

    def _leave(self) -> None:
        self._has_left = True
        for thread in self._threads:
            thread.join()

    def _read_through_the_gateway(self) -> None:
        with stream(self._gateway.url, model="endless", **ENDLESS) as (_, events):
            self._note("gateway", events)

    def _read_beside_it(self) -> None:
        url = f"{self._torchserve.properties['inference_address']}/predictions/endless/1.0"
        key = self._torchserve.keys.inference_key()
        headers = {"authorization": f"Bearer {key}", "accept": "text/event-stream"}
        body = ENDLESS | {"id": uuid.uuid4().hex, "stream": True}
        with requests.post(url, json=body, headers=headers, timeout=TIMEOUT, stream=True) as response:
            decoder = EventDecoder()
            self._note("beside", (event for chunk in response.iter_content(None) for event in decoder.feed(chunk)))

    def _note(self, name: str, events: Iterator[object]) -> None:
        for _ in events:
            self.order.append(name)
            if self._has_left:
                return


def longest_run(order: list[str], name: str) -> int:
    return max((len(list(run)) for each, run in groupby(order) if each == name), default=0)


def order_during(abuse: str, gateway: AbusedGateway, arrivals: Arrivals) -> list[str]:
    begin = len(arrivals.order)
    while arrivals.order[begin:].count("gateway") < NEXT_EVENTS:
        gateway.abuse(abuse, SHARE)
    return arrivals.order[begin:]


@pytest.mark.parametrize("abuse", ABUSES)
def test_another_callers_stream_keeps_up_with_the_worker(
    abuse: str, gateway: AbusedGateway, torchserve: TorchServeProcess
) -> None:
    with Arrivals(gateway, torchserve) as arrivals:
        tries = (order_during(abuse, gateway, arrivals) for _ in range(TRIES))
        assert any(longest_run(order, "beside") <= MOST_BEHIND for order in tries)


def test_all_are_answered_where_nobody_reads_the_log(gateway: AbusedGateway) -> None:
    gateway.abuse("long_addresses", SHARE)
    assert gateway.num_unread > 2**16 * 3 / 4  # the pipe is full: a line that does not fit begins another of its pages
    assert requests.get(f"{gateway.url}/livez", timeout=TIMEOUT).json() == {"status": "ok"}
