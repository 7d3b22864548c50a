"""Runs the listed tests again and again, and counts how often one of them did not hold."""

import subprocess
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple
from xml.etree import ElementTree as ET

from tests.faults.listed import Listed
from tests.project import PROJECT


class Held(NamedTuple):
    """runs: of each case of the test; skipped ones are none."""

    runs: int
    failed: int


def repeat(listed: Sequence[Listed], rounds: int, directory: Path) -> dict[str, Held]:
    """By fault. Raises RuntimeError where pytest could not run them."""
    runs: Counter[str] = Counter()
    failed: Counter[str] = Counter()
    for number in range(rounds):
        report = directory / f"round-{number}.xml"
        command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", f"--junitxml={report}"]
        done = subprocess.run([*command, *(_node_of(each) for each in listed)], check=False, cwd=PROJECT)
        if done.returncode not in {0, 1}:  # all held, or some did not
            raise RuntimeError(f"pytest ended with {done.returncode}")
        for case in ET.parse(report).getroot().iter("testcase"):
            if case.find("skipped") is None:
                test = _name_of(case)
                runs[test] += 1
                failed[test] += case.find("failure") is not None or case.find("error") is not None
    return {each.fault: Held(runs[_key(each)], failed[_key(each)]) for each in listed}


def _name_of(case: ET.Element) -> str:
    name, _, _ = case.get("name", "").partition("[")
    return f"{case.get('classname')}.{name}"


def _node_of(listed: Listed) -> str:
    return f"{PROJECT / 'tests' / listed.file}::{listed.test}"


def _key(listed: Listed) -> str:
    return f"tests.{listed.file.removesuffix('.py').replace('/', '.')}.{listed.test}"
