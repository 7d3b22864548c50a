"""Interleaved rounds: A B B A …, so that a machine that is slow for a while is slow for all that is compared."""

import statistics
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Self

from rich.console import Console

console = Console(highlight=False, stderr=True)

ROUNDS = 5


@dataclass(frozen=True, slots=True)
class Figure:
    """One measured quantity: a value for each round, in their order."""

    values: tuple[float, ...]

    @property
    def median(self) -> float:
        return statistics.median(self.values)

    @property
    def spread(self) -> tuple[float, float]:
        """The first and the third quartile."""
        if len(self.values) == 1:
            return self.values[0], self.values[0]
        first, _, third = statistics.quantiles(self.values, n=4, method="inclusive")
        return first, third

    @property
    def in_milliseconds(self) -> "Figure":
        """Of one in seconds."""
        return Figure(tuple(1e3 * value for value in self.values))

    def over(self, other: Self) -> "Figure":
        """The ratio, taken in each round: what slowed a whole round down cancels out."""
        return Figure(tuple(own / others for own, others in zip(self.values, other.values, strict=True)))

    def __format__(self, spec: str) -> str:
        low, high = self.spread
        return f"{self.median:{spec}} ({low:{spec}} to {high:{spec}})"


def interleave(measures: Mapping[str, Callable[[], float]], rounds: int = ROUNDS) -> dict[str, Figure]:
    """Runs each measure once for nothing, and then all of them in turn, `rounds` times."""
    return {name: figures["value"] for name, figures in interleave_many(_named(measures), rounds).items()}


def interleave_many(
    measures: Mapping[str, Callable[[], Mapping[str, float]]], rounds: int = ROUNDS
) -> dict[str, dict[str, Figure]]:
    """As `interleave`, for measures that give several quantities at once."""
    for measure in measures.values():
        measure()
    taken: dict[str, list[Mapping[str, float]]] = {name: [] for name in measures}
    for number in range(1, rounds + 1):
        # Each second round the other way round: a machine that slows down is not always slowest for the same one.
        for name, measure in list(measures.items())[:: 1 if number % 2 else -1]:
            taken[name].append(measure())
            shown = ", ".join(f"{quantity} {value:.4g}" for quantity, value in taken[name][-1].items())
            console.print(f"round {number} of {rounds}: {name}: {shown}")
    return {
        name: {quantity: Figure(tuple(each[quantity] for each in values)) for quantity in values[0]}
        for name, values in taken.items()
    }


def _named(measures: Mapping[str, Callable[[], float]]) -> dict[str, Callable[[], Mapping[str, float]]]:
    return {name: lambda measure=measure: {"value": measure()} for name, measure in measures.items()}  # type: ignore[misc]
