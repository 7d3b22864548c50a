"""What becomes of a request in TorchServe, all of which follows from its id: a failure can be played again."""

import asyncio
import random
from collections.abc import Awaitable, Callable

from adapter.schema import ErrorCode, ErrorEvent, Problem, StreamEvent
from tests.fakes import Turn, answer_to

SEED = 20_261_123


def chance_of(*what: object) -> random.Random:
    """Chance that is the same in every run, whatever else is drawn, and in whatever order."""
    return random.Random(f"{SEED} {what}")


async def nap(chance: random.Random) -> None:
    await asyncio.sleep(chance.choice((0, 0, 0.001, 0.01)))


async def answer(turn: Turn, chance: random.Random) -> None:
    for event in _events_of(turn):
        await turn.send(event)
        await nap(chance)


async def answer_in_one_piece(turn: Turn, _: random.Random) -> None:
    await turn.send(*_events_of(turn))


async def end_without_an_end(turn: Turn, _: random.Random) -> None:
    await turn.send(*_events_of(turn)[:-1])


async def reset(turn: Turn, _: random.Random) -> None:
    turn.reset()
    await turn.wait_until_the_caller_leaves()


async def reset_in_mid_stream(turn: Turn, chance: random.Random) -> None:
    await turn.send(*_events_of(turn)[:2])
    await reset(turn, chance)


async def hang(turn: Turn, _: random.Random) -> None:
    await turn.wait_until_the_caller_leaves()


async def hang_in_mid_stream(turn: Turn, _: random.Random) -> None:
    await turn.send(*_events_of(turn)[:2])
    await turn.wait_until_the_caller_leaves()


async def be_full(turn: Turn, _: random.Random) -> None:
    turn.fail(ErrorCode.OVERLOADED)


async def have_no_such_version(turn: Turn, _: random.Random) -> None:
    turn.fail(ErrorCode.VERSION_NOT_FOUND)


async def fail(turn: Turn, _: random.Random) -> None:
    turn.fail(ErrorCode.GENERATION_FAILED)


async def report_an_error(turn: Turn, chance: random.Random) -> None:
    problem = Problem.of(ErrorCode.GENERATION_FAILED, "It failed.")
    await turn.send(*_events_of(turn)[: chance.randint(1, 2)], ErrorEvent(problem=problem))


async def talk_nonsense(turn: Turn, _: random.Random) -> None:
    await turn.send(b"data: nonsense\n\n")


Fate = Callable[[Turn, random.Random], Awaitable[None]]
FATES: dict[Fate, int] = {
    answer: 60,
    answer_in_one_piece: 30,
    end_without_an_end: 2,
    reset: 4,
    reset_in_mid_stream: 3,
    hang_in_mid_stream: 2,
    hang: 2,
    be_full: 3,
    have_no_such_version: 2,
    fail: 3,
    report_an_error: 3,
    talk_nonsense: 2,
}


class Fates:
    """A request that is tried again may fare better."""

    def __init__(self) -> None:
        self._num_attempts: dict[str, int] = {}

    async def play(self, turn: Turn) -> None:
        request_id = turn.request.id
        attempt = self._num_attempts[request_id] = self._num_attempts.get(request_id, 0) + 1
        chance = chance_of("fate", request_id, attempt)
        (fate,) = chance.choices(list(FATES), list(FATES.values()))
        await fate(turn, chance)


def _events_of(turn: Turn) -> list[StreamEvent]:
    return answer_to(turn.request, *["word "] * (len(turn.request.prompt) % 5))
