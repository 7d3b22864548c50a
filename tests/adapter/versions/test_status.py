"""What `torchbridge status` shows of each version."""

from datetime import UTC, datetime, timedelta

import pytest

from adapter.compilation import Compilation, CompilationState
from adapter.control.messages import ModelTraffic, PairsReport, TrafficReport, VersionTraffic
from adapter.versions.status import VersionStatus, as_rows, compilations_in_words, server_status
from tests.adapter.versions.fake_canary import report
from tests.adapter.versions.fake_server import FakeServer

CANARY = report(timeout=None).model_copy(
    update={
        "percent": 12.5,
        "max_slowdown": 1.25,
        "first_token": PairsReport(slower=3, not_slower=37),
        "per_token": PairsReport(slower=0, not_slower=0),
        "control": report().canary,
    }
)


def status_of(server: FakeServer, version: str, model: str = "tiny") -> VersionStatus:
    return next(each for each in server_status(server) if (each.model, each.version) == (model, version))


def rows(statuses: list[VersionStatus]) -> list[list[str]]:
    """The cells of each line but the heads."""
    heads, *rows = as_rows(statuses)
    assert heads[:3] == ("model", "version", "role")
    return [list(row) for row in rows]


def test_the_default_and_the_one_before_are_told_apart(server: FakeServer) -> None:
    server.serve("1.0", "2.0")
    assert [(each.version, each.is_default, each.is_previous) for each in server_status(server)] == [
        ("1.0", False, True),
        ("2.0", True, False),
    ]
    assert [row[:3] for row in rows(server_status(server))] == [["tiny", "1.0", "previous"], ["tiny", "2.0", "default"]]


def test_what_is_recorded_of_a_version_is_shown(server: FakeServer) -> None:
    server.serve("1.0")
    recorded = server.state.models["tiny"].versions["1.0"]
    status = status_of(server, "1.0")
    assert (status.archive, status.digest, status.deployed_at) == (
        "tiny-1.0.mar",
        recorded.digest,
        recorded.deployed_at,
    )
    assert rows([status])[0][-1] == recorded.digest[:12]


def test_a_version_that_is_not_recorded_is_shown_too(server: FakeServer) -> None:
    server.serve("1.0")
    server.management.register(server.put_into_store("2.0").archive)
    server.management.register(server.put_into_store("1.0", "other").archive)
    status = status_of(server, "2.0")
    assert (status.archive, status.digest, status.deployed_at, status.is_previous) == (None, None, None, False)
    assert rows([status]) == [["tiny", "2.0", "deployed", "1 of 1 ready", "0", "0", "", "", ""]]
    assert status_of(server, "1.0", "other").is_default


def test_a_recorded_version_that_torchserve_does_not_have_is_shown(server: FakeServer) -> None:
    server.serve("1.0", "2.0")
    server.management.unregister("tiny", "1.0")
    digest = server.state.models["tiny"].versions["1.0"].digest[:12]
    row = next(row for row in rows(server_status(server)) if row[1] == "1.0")
    assert (row[:6], row[-1]) == (["tiny", "1.0", "previous", "0 of 1 ready", "0", "0"], digest)


@pytest.mark.parametrize(
    ("version", "live", "held", "is_draining"),
    [
        pytest.param("1.0", 0, 0, False, id="nothing runs"),
        pytest.param("1.0", 1, 0, True, id="of before, with requests"),
        pytest.param("2.0", 1, 0, False, id="the default, with requests"),
        pytest.param("2.0", 0, 1, True, id="with requests that are held back"),
    ],
)
def test_a_version_drains_while_it_is_to_be_left(
    server: FakeServer, version: str, live: int, held: int, *, is_draining: bool
) -> None:
    server.serve("1.0", "2.0")
    server.gateway.live["tiny", version] = [0.0] * live
    server.gateway.held_requests = held
    status = status_of(server, version)
    assert (status.is_draining, status.live_requests, status.waiting_requests) == (is_draining, live, held)
    assert rows([status])[0][2].endswith(", draining") == is_draining


def test_workers_and_what_waits_are_those_of_torchserve(server: FakeServer) -> None:
    server.serve("1.0")
    server.management.models["tiny"]["1.0"] = [False]
    server.management.queued = 7
    server.gateway.held_requests = 3
    status = status_of(server, "1.0")
    assert (status.ready_workers, status.workers, status.queued_in_torchserve) == (0, 1, 7)
    assert rows([status])[0][3:6] == ["0 of 1 ready", "0", "10"]


def test_a_gateway_that_does_not_tell_how_many_workers_there_are_to_be_has_those_that_are_ready(
    server: FakeServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.serve("1.0")
    (model,) = server.gateway.traffic().models
    told = {name: value for name, value in dict(model.versions[0]).items() if name != "workers"}
    older = ModelTraffic(**dict(model) | {"versions": (VersionTraffic(**told),)})
    monkeypatch.setattr(server.gateway, "traffic", lambda: TrafficReport(models=(older,)))
    status = status_of(server, "1.0")
    assert (status.workers, status.ready_workers) == (1, 1)


def test_a_canary_has_its_share_and_its_times(server: FakeServer, monkeypatch: pytest.MonkeyPatch) -> None:
    server.serve("1.0", "2.0")
    (model,) = server.gateway.traffic().models
    with_canary = ModelTraffic(**dict(model) | {"canary": CANARY})
    monkeypatch.setattr(server.gateway, "traffic", lambda: TrafficReport(models=(with_canary,)))
    assert [each.canary_percent for each in server_status(server)] == [12.5, None]
    tried, default = server_status(server)
    assert [row[2] for row in rows([tried, default])] == ["canary, 12.5 %, too slow: first token 3 of 40", "default"]
    assert (tried.canary_first_token, default.canary_first_token) == (CANARY.first_token, None)


@pytest.mark.parametrize(
    ("age", "shown"),
    [
        pytest.param(timedelta(days=3, hours=23), "3 d", id="days"),
        pytest.param(timedelta(hours=23, minutes=59), "23 h", id="hours"),
        pytest.param(timedelta(minutes=59), "59 min", id="minutes"),
        pytest.param(timedelta(seconds=-10), "now", id="a clock that was set back"),
    ],
)
def test_its_age_is_shown_in_one_unit(server: FakeServer, age: timedelta, shown: str) -> None:
    server.serve("1.0")
    status = status_of(server, "1.0").model_copy(update={"deployed_at": datetime.now(UTC) - age})
    assert rows([status])[0][6] == shown


def test_for_programs_it_is_json_and_back(server: FakeServer) -> None:
    server.serve("1.0", "2.0")
    for status in server_status(server):
        assert VersionStatus.model_validate_json(status.model_dump_json()) == status


@pytest.mark.parametrize(
    ("said", "cell", "lines"),
    [
        pytest.param(None, "", [], id="an older archive"),
        pytest.param(Compilation(state=CompilationState.COMPILED), "compiled", [], id="compiled"),
        pytest.param(
            Compilation(state=CompilationState.COMPILING, since=datetime.now(UTC) - timedelta(days=2, hours=12)),
            "compiling",
            ["tiny 1.0 is compiling since 2 d: until then it answers less fast."],
            id="compiling",
        ),
        pytest.param(
            Compilation(state=CompilationState.NOT_COMPILED, reason="there is no C++ compiler (g++)"),
            "not compiled",
            ["The steps of tiny 1.0 are not compiled: there is no C++ compiler (g++)."],
            id="not compiled",
        ),
    ],
)
def test_it_says_how_far_a_version_is_with_its_compiled_steps(
    server: FakeServer, said: Compilation | None, cell: str, lines: list[str]
) -> None:
    server.serve("1.0")
    if said:
        said.write(server.files.compilations, "tiny", "1.0")

    statuses = server_status(server)

    assert statuses[0].compilation == said
    assert rows(statuses)[0][7] == cell
    assert list(compilations_in_words(statuses)) == lines


def test_of_a_version_without_a_worker_the_last_word_is_not_shown(server: FakeServer) -> None:
    server.serve("1.0")
    Compilation(state=CompilationState.COMPILED).write(server.files.compilations, "tiny", "1.0")
    server.management.models["tiny"]["1.0"] = []

    assert status_of(server, "1.0").compilation is None
