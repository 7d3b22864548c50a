"""How every peer is started. In each one's own environment: nothing is imported here but the standard library."""

import argparse
from pathlib import Path
from typing import NamedTuple


class Arguments(NamedTuple):
    model: Path
    port: int
    threads: int
    best: bool


def parse_arguments() -> Arguments:
    parser = argparse.ArgumentParser()
    parser.add_argument("--model", type=Path, required=True)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--threads", type=int, required=True)
    parser.add_argument("--best", action="store_true", help="the peer's documented settings for such a machine")
    return Arguments(**vars(parser.parse_args()))
