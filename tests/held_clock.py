"""A clock that only the test moves: on a slow machine no deadline comes too early, and none has to be waited for."""

import asyncio

_ROUNDS = 20  # of the event loop: more than any chain of callbacks here takes


class HeldClock:
    """Stands in for time.monotonic, by which asyncio's timers go, too."""

    def __init__(self) -> None:
        self.now = 1_000.0

    def __call__(self) -> float:
        return self.now

    def move(self, seconds: float) -> None:
        self.now += seconds

    async def pass_by(self, seconds: float) -> None:
        """What is due by then in this event loop has happened afterwards, where it waits for no other thread."""
        self.move(seconds)
        for _ in range(_ROUNDS):
            await asyncio.sleep(0)
