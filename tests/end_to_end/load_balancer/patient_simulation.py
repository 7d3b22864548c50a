"""`torchbridge simulate`, with a Redis that may take its time on a machine that stalls; arguments as there."""

import sys

from adapter import cli
from adapter.generation import redis_calls
from tests.waiting import PATIENCE

if __name__ == "__main__":
    redis_calls._PATIENCE = PATIENCE
    sys.argv = ["torchbridge", "simulate", *sys.argv[1:]]
    cli.main()
