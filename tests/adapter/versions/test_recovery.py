"""What is done about each thing that a killed command may have left."""

from itertools import product

import pytest

from adapter.versions import recovery
from adapter.versions.changes import record_default, record_version
from adapter.versions.errors import ServerBusy
from adapter.versions.journal import Operation, Step
from adapter.versions.recovery import changing, recover
from tests.adapter.versions.fake_server import FakeServer, Lines

ARCHIVE = "tiny-2.0.mar"
SWITCHED = (Step.RECORD, Step.DRAIN, Step.RETIRE)  # TorchServe already has the new default
BEFORE_THE_SWITCH = (None, Step.COPY, Step.VERIFY, Step.REGISTER, Step.LOAD, Step.WARM_UP, Step.PROBE)
EITHER = (True, False)


def leave(
    server: FakeServer, operation: Operation, step: Step | None, *, is_registered: bool, is_recorded: bool
) -> None:
    """As if 1.0 were served, and the operation on 2.0 had been interrupted."""
    server.serve("1.0")
    deployed = server.put_into_store("2.0")
    if is_registered:
        server.management.register(ARCHIVE)
    if is_recorded:
        record_version(server, "tiny", "2.0", deployed)
    if operation.kind != "retire" and is_registered and operation.promotes and step in SWITCHED:
        server.management.set_default("tiny", "2.0")
        if is_recorded and step is not Step.RECORD:
            record_default(server, "tiny", "2.0", deployed)
    server.management.changes.clear()
    verified = {"digest": deployed.digest, "sha256": deployed.sha256}
    server.journal.begin(operation.model_copy(update=verified))
    if step is not None:
        server.journal.step(operation, step)


def default(server: FakeServer) -> str:
    """By all who know."""
    known = server.state.models["tiny"].default
    assert server.management.default_version("tiny") == known
    return known


def cases(*groups: tuple[str, tuple[Step | None, ...], tuple[bool, ...], tuple[bool, ...], str]) -> list[object]:
    return [
        pytest.param(kind, step, is_registered, is_recorded, outcome, id=f"{kind}-{step}-{is_registered}-{is_recorded}")
        for kind, steps, registered, recorded, outcome in groups
        for step, is_registered, is_recorded in product(steps, registered, recorded)
    ]


@pytest.mark.parametrize(
    ("kind", "step", "is_registered", "is_recorded", "outcome"),
    cases(
        # kind, last steps, registered, recorded, what becomes of 2.0
        ("deploy", BEFORE_THE_SWITCH, EITHER, (False,), "gone"),
        ("deploy", BEFORE_THE_SWITCH, EITHER, (True,), "as it was"),
        ("deploy", (Step.PROMOTE,), EITHER, (False,), "gone"),
        ("deploy", (Step.PROMOTE,), EITHER, (True,), "as it was"),
        ("deploy", SWITCHED, (True,), EITHER, "the default"),
        ("deploy", SWITCHED, (False,), (True,), "as it was"),
        ("deploy", SWITCHED, (False,), (False,), "gone"),
        ("promote", (None, Step.PROMOTE), (True,), (True,), "as it was"),
        ("promote", (Step.RECORD,), (True,), (True,), "the default"),
        ("promote", (None, Step.PROMOTE, Step.RECORD), (False,), (True,), "as it was"),
        ("rollback", (None, Step.PROMOTE), (True,), (True,), "as it was"),
        ("rollback", (Step.RECORD,), (True,), (True,), "the default"),
        ("rollback", (None, Step.PROMOTE, Step.RECORD), (False,), (True,), "as it was"),
        ("retire", (None,), (True,), (True,), "as it was"),
        ("retire", (None,), (False,), EITHER, "gone"),
        ("scale", (None,), EITHER, (True,), "as it was"),
    ),
)
def test_what_was_begun_has_an_end(
    server: FakeServer,
    lines: Lines,
    *,
    kind: str,
    step: Step | None,
    is_registered: bool,
    is_recorded: bool,
    outcome: str,
) -> None:
    operation = Operation(kind=kind, model="tiny", version="2.0", archive=ARCHIVE, workers=0)
    leave(server, operation, step, is_registered=is_registered, is_recorded=is_recorded)
    state = server.state
    recover(server, lines)
    assert lines[0] == f"a {kind} of tiny 2.0 was interrupted at {step or 'its begin'}"
    assert lines[1].startswith(f"the {kind} of tiny 2.0 is ")
    assert server.journal.unfinished() is None
    assert default(server) == ("2.0" if outcome == "the default" else "1.0")
    match outcome:
        case "gone":
            assert server.registered() == server.recorded() == ["1.0"]
            assert server.stored() == ["tiny-1.0.mar"]
        case "the default":
            assert server.registered() == server.recorded() == ["1.0", "2.0"]
            assert server.state.models["tiny"].previous == ("1.0",)
        case "as it was":
            assert (server.state, server.management.changes) == (state, [])
            assert ARCHIVE in server.stored()


@pytest.mark.parametrize("is_recorded", EITHER)
def test_what_was_deployed_beside_the_default_stays_if_it_was_recorded(
    server: FakeServer, lines: Lines, is_recorded: bool
) -> None:
    operation = Operation(kind="deploy", model="tiny", version="2.0", archive=ARCHIVE, promotes=False)
    leave(server, operation, Step.RECORD, is_registered=True, is_recorded=is_recorded)
    recover(server, lines)
    assert default(server) == "1.0"
    assert server.registered() == server.recorded() == ["1.0", "2.0"][: 1 + is_recorded]
    assert server.journal.unfinished() is None


def test_what_was_to_be_retired_after_a_deployment_stays(server: FakeServer, lines: Lines) -> None:
    operation = Operation(kind="deploy", model="tiny", version="2.0", archive=ARCHIVE, keep=0)
    leave(server, operation, Step.DRAIN, is_registered=True, is_recorded=True)
    recover(server, lines)
    assert default(server) == "2.0"
    assert server.registered() == server.recorded() == ["1.0", "2.0"]


@pytest.mark.parametrize("workers", [0, 1], ids=["unloaded", "loaded"])
def test_workers_that_are_what_was_asked_for_are_only_written_down(
    server: FakeServer, lines: Lines, workers: int
) -> None:
    operation = Operation(kind="scale", model="tiny", version="2.0", workers=workers)
    leave(server, operation, None, is_registered=True, is_recorded=True)
    record_workers(server, 1 - workers)
    server.management.scale("tiny", "2.0", workers)
    recover(server, lines)
    assert server.state.models["tiny"].versions["2.0"].workers == workers
    assert server.management.changes == [("scale", "tiny", "2.0", workers)]


def record_workers(server: FakeServer, workers: int) -> None:
    known = server.state.models["tiny"]
    scaled = known.versions["2.0"].model_copy(update={"workers": workers})
    server.save(server.state.with_model("tiny", known.with_version("2.0", scaled)))


def test_where_nothing_was_interrupted_nothing_is_said_or_done(server: FakeServer, lines: Lines) -> None:
    server.serve("1.0")
    recover(server, lines)
    assert (lines, server.management.changes, server.gateway.calls) == ([], [], [])


def test_a_recovery_is_over_before_the_next_change_begins(server: FakeServer, lines: Lines) -> None:
    operation = Operation(kind="deploy", model="tiny", version="2.0", archive=ARCHIVE)
    leave(server, operation, Step.LOAD, is_registered=True, is_recorded=False)
    with changing(server, "rollback", lines):
        assert server.registered() == ["1.0"]


def test_nobody_recovers_what_another_command_is_at(
    server: FakeServer, lines: Lines, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recovery, "recover", lambda *_: pytest.fail("it is not interrupted"))
    with server.locked("deploy"), pytest.raises(ServerBusy), changing(server, "rollback", lines):
        pytest.fail("it is locked")


@pytest.mark.parametrize("stumbles", [False, True])
def test_a_version_that_cannot_be_loaded_again_stays_unloaded_and_blocks_nobody(
    server: FakeServer, lines: Lines, *, stumbles: bool
) -> None:
    leave(
        server,
        Operation(kind="scale", model="tiny", version="2.0", workers=1),
        None,
        is_registered=True,
        is_recorded=True,
    )
    record_workers(server, 0)
    server.management.starts_ready = False
    server.management.scale("tiny", "2.0", 0)
    server.management.scale("tiny", "2.0", 1)
    server.management.stumbles = stumbles
    recover(server, lines)
    assert server.journal.unfinished() is None
    assert server.management.models["tiny"]["2.0"] == []
    assert server.state.models["tiny"].versions["2.0"].workers == 0


@pytest.mark.parametrize(
    "operation",
    [
        Operation(kind="retire", model="tiny", version="1.0", archive="tiny-1.0.mar"),
        Operation(kind="scale", model="tiny", version="1.0", workers=0),
    ],
    ids=lambda operation: operation.kind,
)
def test_what_has_become_the_default_since_is_neither_taken_away_nor_unloaded(
    server: FakeServer, lines: Lines, operation: Operation
) -> None:
    leave(server, operation, None, is_registered=True, is_recorded=True)
    recover(server, lines)
    assert server.journal.unfinished() is None
    assert server.management.changes == []
    assert server.registered() == server.recorded() == ["1.0", "2.0"]
