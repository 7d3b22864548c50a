"""Faults that tests make already, and what they then see to: nothing is lost, and nothing is wrong."""

import tomllib
from pathlib import Path
from typing import NamedTuple

_FILE = Path(__file__).with_suffix(".toml")


class Listed(NamedTuple):
    """file: below tests/."""

    fault: str
    file: str
    test: str

    @property
    def node(self) -> str:
        """As pytest names it."""
        return f"tests/{self.file}::{self.test}"


LISTED = tuple(
    Listed(fault, file, test)
    for file, tests in tomllib.loads(_FILE.read_text()).items()
    for fault, test in tests.items()
)
