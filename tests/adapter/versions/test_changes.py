"""The single changes, and what is true when each returns."""

from contextlib import nullcontext
from pathlib import Path

import pytest

from adapter.archives.archive_reader import read_record
from adapter.errors import ModelNotReady, UpstreamProtocol, UpstreamUnavailable, VersionNotFound
from adapter.versions.changes import (
    expect_ready,
    record_default,
    record_version,
    remove,
    scale_workers,
    switch,
    unregister,
    withdraw,
)
from adapter.versions.errors import DrainTimeout
from tests.adapter.versions.fake_server import FakeServer, make_archive


@pytest.fixture(autouse=True)
def served(server: FakeServer) -> None:
    """Of the model tiny the versions 1.0 and 2.0, the default."""
    server.serve("1.0", "2.0")


def fail(*_: object) -> None:
    raise UpstreamUnavailable("TorchServe does not answer.")


# The default


def test_a_switch_is_over_when_the_gateway_sees_it(server: FakeServer) -> None:
    switch(server, "tiny", "1.0")
    assert server.gateway.calls == ["traffic"]
    assert server.gateway.traffic().default_version("tiny") == "1.0"


def test_a_gateway_that_sees_another_default_is_an_error(server: FakeServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server.management, "set_default", lambda *_: None)
    with pytest.raises(UpstreamProtocol, match="does not see the new default"):
        switch(server, "tiny", "1.0")


def test_a_version_without_a_ready_worker_is_not_fit_to_be_the_default(server: FakeServer) -> None:
    expect_ready(server, "tiny", "1.0")
    server.management.models["tiny"]["1.0"] = [False]
    for version in ("1.0", "9.0"):
        with pytest.raises(ModelNotReady, match=f"tiny {version} has no worker that is ready"):
            expect_ready(server, "tiny", version)


# Our record


def test_a_version_is_recorded_beside_the_default_with_its_digest(server: FakeServer) -> None:
    deployed = server.put_into_store("3.0")
    record_version(server, "tiny", "3.0", deployed)
    model = server.state.models["tiny"]
    assert (model.default, model.previous, list(model.versions)) == ("2.0", ("1.0",), ["1.0", "2.0", "3.0"])
    assert model.versions["3.0"].digest == read_record(server.store.path(deployed.archive)).digest


def test_the_first_version_of_a_model_is_its_default(server: FakeServer) -> None:
    record_version(server, "small", "1.0", server.put_into_store("1.0", "small"))
    record_default(server, "other", "1.0", server.put_into_store("1.0", "other"))
    assert [model.default for model in server.state.models.values()] == ["2.0", "1.0", "1.0"]


def test_a_new_default_that_was_recorded_before_keeps_what_is_known_of_it(server: FakeServer) -> None:
    before = server.state.models["tiny"].versions["1.0"]
    record_default(server, "tiny", "1.0", before)
    model = server.state.models["tiny"]
    assert (model.default, model.previous, model.versions["1.0"]) == ("1.0", ("2.0",), before)


# The end of a version


def test_what_is_removed_is_gone_everywhere(server: FakeServer) -> None:
    remove(server, "tiny", "1.0", "tiny-1.0.mar", 60)
    assert server.registered() == server.recorded() == ["2.0"]
    assert server.stored() == ["tiny-2.0.mar"]
    assert server.state.models["tiny"].previous == ()


def test_it_is_let_go_only_when_the_gateway_knows_that_it_is_gone(
    server: FakeServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    take_away, calls = server.management.unregister, server.gateway.calls

    def unregister_when_held(model: str, version: str) -> None:
        assert server.gateway.is_held(model, version)
        calls.append("unregister")
        take_away(model, version)

    monkeypatch.setattr(server.management, "unregister", unregister_when_held)
    remove(server, "tiny", "1.0", "tiny-1.0.mar", 60)
    assert calls[calls.index("unregister") :] == ["unregister", "traffic", "release"]


def test_a_removal_that_fails_lets_requests_through_again_and_forgets_nothing(
    server: FakeServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    state = server.state
    monkeypatch.setattr(server.management, "unregister", fail)
    with pytest.raises(UpstreamUnavailable):
        remove(server, "tiny", "1.0", "tiny-1.0.mar", 60)
    assert server.gateway.calls[-1] == "release"
    assert not server.gateway.is_held("tiny", "1.0")
    assert (server.state, server.stored()) == (state, ["tiny-1.0.mar", "tiny-2.0.mar"])


def test_a_version_that_is_not_left_in_time_stays(server: FakeServer) -> None:
    server.gateway.live["tiny", "1.0"] = [0.0]
    with pytest.raises(DrainTimeout):
        remove(server, "tiny", "1.0", "tiny-1.0.mar", 60)
    assert (server.registered(), server.management.changes) == (["1.0", "2.0"], [])
    assert server.stored() == ["tiny-1.0.mar", "tiny-2.0.mar"]


def test_a_removal_may_be_made_again_wherever_it_ended(server: FakeServer) -> None:
    server.management.unregister("tiny", "1.0")
    for _ in range(2):
        remove(server, "tiny", "1.0", "tiny-1.0.mar", 60)
        assert (server.recorded(), server.stored()) == (["2.0"], ["tiny-2.0.mar"])


def test_with_its_last_version_a_model_is_gone(server: FakeServer) -> None:
    for version in ("1.0", "2.0"):
        remove(server, "tiny", version, f"tiny-{version}.mar", 60)
    assert (server.state.models, server.management.models, server.stored()) == ({}, {}, [])


def test_another_may_unregister_it_first(server: FakeServer, monkeypatch: pytest.MonkeyPatch) -> None:
    def too_late(*_: object) -> None:
        raise VersionNotFound("gone")

    monkeypatch.setattr(server.management, "unregister", too_late)
    unregister(server, "tiny", "1.0")
    unregister(server, "tiny", "9.0")
    unregister(server, "absent", "1.0")


@pytest.mark.parametrize("is_forgotten", [True, False])
def test_a_failure_of_torchserve_counts_only_if_it_still_has_the_version(
    server: FakeServer, monkeypatch: pytest.MonkeyPatch, *, is_forgotten: bool
) -> None:
    take_away = server.management.unregister

    def stumble(model: str, version: str) -> None:
        if is_forgotten:
            take_away(model, version)
        raise UpstreamProtocol("a NullPointerException")

    monkeypatch.setattr(server.management, "unregister", stumble)
    with nullcontext() if is_forgotten else pytest.raises(UpstreamProtocol):
        unregister(server, "tiny", "1.0")
    assert ("1.0" in server.registered()) is not is_forgotten


@pytest.mark.parametrize("is_done", [True, False])
def test_a_failure_of_torchserve_to_end_workers_counts_only_if_it_still_has_them(
    server: FakeServer, monkeypatch: pytest.MonkeyPatch, *, is_done: bool
) -> None:
    scale = server.management.scale

    def stumble(model: str, version: str, workers: int) -> None:
        if is_done:
            scale(model, version, workers)
        raise UpstreamProtocol("a NullPointerException")

    monkeypatch.setattr(server.management, "scale", stumble)
    with nullcontext() if is_done else pytest.raises(UpstreamProtocol):
        scale_workers(server, "tiny", "1.0", 0)


# What did not come up


def test_what_is_withdrawn_was_never_there(server: FakeServer, tmp_path: Path) -> None:
    state = server.state
    server.management.register(server.put_into_store("3.0").archive)
    server.store.stage(make_archive(tmp_path / "release", "3.0"), "tiny-3.0.mar")
    withdraw(server, "tiny", "3.0", "tiny-3.0.mar")
    assert (server.state, server.registered()) == (state, ["1.0", "2.0"])
    assert server.stored() == ["tiny-1.0.mar", "tiny-2.0.mar"]


def test_an_archive_goes_also_when_torchserve_does_not_answer(
    server: FakeServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.management.register(server.put_into_store("3.0").archive)
    monkeypatch.setattr(server.management, "unregister", fail)
    with pytest.raises(UpstreamUnavailable):
        withdraw(server, "tiny", "3.0", "tiny-3.0.mar")
    assert server.stored() == ["tiny-1.0.mar", "tiny-2.0.mar"]


def test_an_archive_that_a_recorded_version_needs_stays(server: FakeServer) -> None:
    withdraw(server, "tiny", "1.0", "tiny-1.0.mar")
    assert server.stored() == ["tiny-1.0.mar", "tiny-2.0.mar"]
