"""What the benchmarks that take a while are asked for, and how they end when they are told to."""

import argparse
import signal
import sys
from typing import NamedTuple

from benchmarks.rounds import ROUNDS


class Arguments(NamedTuple):
    rounds: int
    threads: int
    is_quick: bool


def parse_arguments() -> Arguments:
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--quick", action="store_true", help="one round: whether it runs")
    arguments = parser.parse_args()
    return Arguments(1 if arguments.quick else arguments.rounds, arguments.threads, arguments.quick)


def exit_on_sigterm() -> None:
    """By an exception, so that the servers are stopped on its way."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
