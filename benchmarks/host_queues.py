"""Requests that come by chance to hosts behind a balancer, as a simulation in which no time passes.

A host answers `slots` requests at once, whose tokens share its rate; others wait in order of arrival. The balancer
gives a request to a host that has the fewest, as HAProxy's leastconn does, with all of them in sight.
"""

import heapq
import math
import random
from bisect import bisect_left
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import NamedTuple


class Request(NamedTuple):
    arrives_at: float  # seconds
    tokens: int


class Answered(NamedTuple):
    waited: float  # seconds for a slot
    took: float  # seconds in it
    tokens: int

    @property
    def total(self) -> float:
        return self.waited + self.took


@dataclass(frozen=True)
class Rate:
    """Tokens a second of one host, by how many requests share them; on a straight line between those measured."""

    measured: Sequence[tuple[int, float]]

    def of(self, num_requests: int) -> float:
        return self._by_count[min(num_requests, self.slots)]

    @cached_property
    def _by_count(self) -> tuple[float, ...]:
        """A simulation asks for them a million times."""
        return tuple(map(self._between, range(self.slots + 1)))

    def _between(self, num_requests: int) -> float:
        counts = [count for count, _ in self.measured]
        place = bisect_left(counts, num_requests)
        if place == 0:
            return self.measured[0][1] * num_requests / counts[0]
        (low, slow), (high, fast) = self.measured[place - 1], self.measured[place]
        return slow + (fast - slow) * (num_requests - low) / (high - low)

    @property
    def slots(self) -> int:
        return self.measured[-1][0]

    @property
    def most(self) -> float:
        return self.measured[-1][1]


@dataclass
class _Host:
    """`done`: tokens that a request has been given that was there all the time. Requests end when it reaches theirs."""

    rate: Rate
    done: float = 0.0
    since: float = 0.0
    running: list[tuple[float, int, Request, float]] = field(default_factory=list)
    waiting: deque[tuple[int, Request]] = field(default_factory=deque)

    @property
    def num_requests(self) -> int:
        return len(self.running) + len(self.waiting)

    def go_on(self, now: float) -> None:
        if self.running:
            self.done += (now - self.since) * self.rate.of(len(self.running)) / len(self.running)
        self.since = now

    def next_end(self) -> float:
        if not self.running:
            return math.inf
        left = max(0.0, self.running[0][0] - self.done)
        return self.since + left * len(self.running) / self.rate.of(len(self.running))

    def take(self, number: int, request: Request) -> None:
        self.waiting.append((number, request))
        self.fill()

    def fill(self) -> None:
        while self.waiting and len(self.running) < self.rate.slots:
            number, request = self.waiting.popleft()
            heapq.heappush(self.running, (self.done + request.tokens, number, request, self.since))


def arrivals(rate: float, lengths: Sequence[int], seconds: float, seed: int) -> list[Request]:
    """`rate` requests a second on average, each as long as one of `lengths`."""
    generator = random.Random(seed)  # noqa: S311 - no secret
    requests, now = [], generator.expovariate(rate)
    while now < seconds:
        requests.append(Request(now, generator.choice(lengths)))
        now += generator.expovariate(rate)
    return requests


def answer(requests: Sequence[Request], num_hosts: int, rate: Rate) -> list[Answered]:
    """In the order in which they end."""
    return list(_Simulation(num_hosts, rate).run(requests))


class _Simulation:
    def __init__(self, num_hosts: int, rate: Rate) -> None:
        self._hosts = [_Host(rate) for _ in range(num_hosts)]
        self._ends: list[tuple[float, int]] = []  # of a host's next answer, as it was expected
        # By how many requests it has, and then by who has waited longest for one; entries of the past are skipped.
        self._least = [(0, index, index) for index in range(num_hosts)]
        self._turn = num_hosts

    def run(self, requests: Sequence[Request]) -> Iterator[Answered]:
        for number, request in enumerate(requests):
            yield from self._until(request.arrives_at)
            index = self._least_busy()
            host = self._hosts[index]
            host.go_on(request.arrives_at)
            host.take(number, request)
            self._note(index)
        yield from self._until(math.inf)

    def _until(self, time: float) -> Iterator[Answered]:
        while self._ends and self._ends[0][0] <= time:
            now, index = heapq.heappop(self._ends)
            host = self._hosts[index]
            if now != host.next_end():
                continue  # something has come or gone since
            host.go_on(now)
            _, _, request, began_at = heapq.heappop(host.running)
            host.fill()
            self._note(index)
            yield Answered(began_at - request.arrives_at, now - began_at, request.tokens)

    def _note(self, index: int) -> None:
        host = self._hosts[index]
        self._turn += 1
        heapq.heappush(self._least, (host.num_requests, self._turn, index))
        if (end := host.next_end()) < math.inf:
            heapq.heappush(self._ends, (end, index))

    def _least_busy(self) -> int:
        while True:
            num_requests, _, index = self._least[0]
            if self._hosts[index].num_requests == num_requests:
                return index
            heapq.heappop(self._least)


def percentile(values: Sequence[float], share: float) -> float:
    """The value that `share` of them do not exceed."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, math.ceil(share * len(ordered)) - 1)]
