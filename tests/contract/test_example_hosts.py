"""The example tells its hosts what a cancelled generation and a long stream need there."""

import json
import re
from fnmatch import fnmatch
from pathlib import Path

import pytest

from tests.project import PROJECT

EXAMPLE = PROJECT / "ts-client" / "examples" / "nextjs"
ROUTES = [file.relative_to(EXAMPLE) for file in (EXAMPLE / "app").rglob("route.ts")]
README = (PROJECT / "ts-client" / "README.md").read_text()


def test_there_are_routes_to_look_at() -> None:
    assert Path("app/api/[...path]/route.ts") in ROUTES


@pytest.mark.parametrize("route", ROUTES, ids=str)
def test_vercel_tells_every_route_that_its_caller_left(route: Path) -> None:
    functions = json.loads((EXAMPLE / "vercel.json").read_text())["functions"]
    assert any(settings["supportsCancellation"] for path, settings in functions.items() if fnmatch(str(route), path))


@pytest.mark.parametrize("route", ROUTES, ids=str)
def test_every_route_may_stream_for_longer_than_a_host_lets_it_unasked(route: Path) -> None:
    assert re.search(r"^export const maxDuration = \d+;$", (EXAMPLE / route).read_text(), re.MULTILINE)


@pytest.mark.parametrize("setting", ["supportsCancellation", "enable_request_signal", "maxDuration"])
def test_the_readme_names_what_a_host_needs(setting: str) -> None:
    assert setting in README
