"""`apply`: the plan, and what is done by it."""

import json
from pathlib import Path

import pytest

from adapter.versions.journal import Operation
from tests.adapter.commands.conftest import Run, Said
from tests.adapter.commands.refusals import expect_refusal
from tests.adapter.versions.fake_server import FakeServer, make_archive


@pytest.fixture
def models(tmp_path: Path) -> Path:
    """Wants tiny 2.0 and 3.0, the default."""
    for version in ("2.0", "3.0"):
        make_archive(tmp_path, version)
    versions = {version: {"archive": f"tiny-{version}.mar"} for version in ("2.0", "3.0")}
    path = tmp_path / "models.yaml"
    path.write_text(json.dumps({"models": {"tiny": {"default": "3.0", "versions": versions}}}))
    return path


def test_an_apply_that_is_to_be_quiet_says_how_it_ended_alone(
    server: FakeServer, models: Path, run: Run, said: Said
) -> None:
    assert run("apply", str(models), "-q") == 0
    assert said() == f"the server is as {models} says\n"
    assert server.recorded() == ["2.0", "3.0"]
    assert run("apply", str(models), "-q") == 0
    assert said() == "nothing to do\n"


def test_a_plan_is_shown_and_changes_nothing(server: FakeServer, models: Path, run: Run, said: Said) -> None:
    state, stored = server.state, server.stored()
    assert run("apply", str(models), "--plan") == 0
    assert said().splitlines() == [
        f"deploy tiny 3.0 from {models.parent}/tiny-3.0.mar",
        "promote tiny 3.0",
        "retire tiny 1.0",
    ]
    assert (server.state, server.stored(), server.management.changes) == (state, stored, [])
    assert not server.files.journal.exists()


def test_a_plan_for_programs_is_json(server: FakeServer, models: Path, run: Run, said: Said) -> None:
    assert run("apply", str(models), "--plan", "--json") == 0
    plan = json.loads(said())
    assert (plan["interrupted"], plan["actions"][1:]) == (None, ["promote tiny 3.0", "retire tiny 1.0"])
    assert (plan["is_planned"], plan["defaults"]) == (True, {"tiny": "2.0"})
    assert server.management.changes == []


def test_an_apply_does_what_was_planned_and_then_there_is_nothing_to_do(
    server: FakeServer, models: Path, run: Run, said: Said
) -> None:
    assert run("apply", str(models), "--json") == 0
    done = json.loads(said())
    assert (done["is_planned"], done["actions"][1:]) == (False, ["promote tiny 3.0", "retire tiny 1.0"])
    assert done["defaults"] == {"tiny": "3.0"}
    assert (server.management.default_version("tiny"), server.registered()) == ("3.0", ["2.0", "3.0"])
    assert run("apply", str(models)) == 0
    assert said() == "nothing to do\n"


def test_a_plan_begins_with_the_end_of_what_was_interrupted(
    server: FakeServer, models: Path, run: Run, said: Said
) -> None:
    assert run("apply", str(models)) == 0
    said()
    server.journal.begin(Operation(kind="deploy", model="tiny", version="4.0", archive="tiny-4.0.mar"))
    assert run("apply", str(models), "--plan") == 0
    assert said() == (
        "first, what was interrupted: the deploy of tiny 4.0 is undone: what is there of it is taken away\n"
    )
    assert server.journal.unfinished() is not None


def test_a_file_that_wants_nonsense_is_refused_in_one_line(
    server: FakeServer, models: Path, run: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    models.write_text(models.read_text().replace('"3.0"', "3.0"))
    assert run("apply", str(models)) == 1
    expect_refusal(capsys, 'Versions are texts: "1.0", in quotes')
    assert server.management.changes == []
