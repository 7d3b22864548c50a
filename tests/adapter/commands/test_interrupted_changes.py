"""What was interrupted: the commands end it first, and `status` and `recover` tell of it."""

import json

import pytest

from adapter.versions.journal import Operation, Step
from tests.adapter.commands.conftest import Run, Said
from tests.adapter.versions.fake_server import FakeServer


def test_what_was_interrupted_is_ended_first_and_said(
    server: FakeServer, run: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    interrupt_deployment(server, Step.LOAD)
    assert run("scale", "2.0", "--workers", "1") == 0
    assert capsys.readouterr().err.splitlines()[:2] == [
        "a deploy of tiny 3.0 was interrupted at load",
        "the deploy of tiny 3.0 is undone: what is there of it is taken away",
    ]
    assert server.registered() == ["1.0", "2.0"]


def interrupt_deployment(server: FakeServer, step: Step) -> None:
    """Of 3.0, which is registered and not the default."""
    deployed = server.put_into_store("3.0")
    server.management.register(deployed.archive)
    operation = Operation(
        kind="deploy", model="tiny", version="3.0", archive=deployed.archive, digest="0" * 64, sha256=deployed.sha256
    )
    server.journal.begin(operation)
    server.journal.step(operation, step)


def test_what_failed_in_its_promotion_is_never_the_default_by_another_command(server: FakeServer, run: Run) -> None:
    interrupt_deployment(server, Step.PROMOTE)
    assert run("scale", "1.0", "--workers", "1") == 0
    assert server.management.default_version("tiny") == server.state.models["tiny"].default == "2.0"
    assert server.registered() == ["1.0", "2.0"]


def test_status_shows_what_is_open_and_what_becomes_of_it(server: FakeServer, run: Run, said: Said) -> None:
    interrupt_deployment(server, Step.PROMOTE)
    assert run("status") == 0
    *_, row, _, words = said().splitlines()
    assert "deployed, interrupted" in row
    assert words.startswith("the deploy of tiny 3.0 was interrupted at promote, now. After `torchbridge recover`")
    assert run("status", "--json") == 0
    *others, opened = [each["open_change"] for each in json.loads(said())]
    assert others == [None, None]
    assert (opened["kind"], opened["step"], opened["is_under_way"]) == ("deploy", "promote", False)


def test_status_shows_what_was_interrupted_before_anything_could_be_seen(
    server: FakeServer, run: Run, said: Said
) -> None:
    server.journal.begin(Operation(kind="deploy", model="tiny", version="4.0", archive="tiny-4.0.mar"))
    assert run("status", "--json") == 0
    shown = json.loads(said())[-1]
    assert (shown["version"], shown["workers"], shown["open_change"]["step"]) == ("4.0", 0, None)


def test_status_does_not_take_for_interrupted_what_a_command_is_at(server: FakeServer, run: Run, said: Said) -> None:
    interrupt_deployment(server, Step.LOAD)
    with server.locked("deploy tiny-3.0.mar"):
        assert run("status") == 0
    *_, row, _, words = said().splitlines()
    assert "deployed, changing" in row
    assert words.startswith("the deploy of tiny 3.0 is under way: at load")


def test_what_was_interrupted_can_be_undone_without_another_change(server: FakeServer, run: Run, said: Said) -> None:
    interrupt_deployment(server, Step.PROMOTE)
    assert run("recover") == 0
    assert said().splitlines()[-1] == "the deploy of tiny 3.0 is undone: what is there of it is taken away"
    assert run("recover") == 0
    assert said() == "nothing was interrupted\n"
