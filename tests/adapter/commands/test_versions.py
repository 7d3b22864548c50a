"""The commands on the versions of a server: what they do, and what is so in their last line."""

from pathlib import Path

import pytest

from adapter.versions.canary import Verdict
from tests.adapter.commands.conftest import Run, Said
from tests.adapter.versions.fake_server import FakeServer, make_archive


def test_deploy_ends_with_the_new_default(server: FakeServer, tmp_path: Path, run: Run, said: Said) -> None:
    archive = make_archive(tmp_path / "release", "3.0")
    assert run("deploy", str(archive)) == 0
    assert said().splitlines()[-1] == "tiny 3.0 is the default"
    assert server.state.models["tiny"].default == "3.0"


@pytest.mark.usefixtures("server")
def test_a_deploy_that_is_to_be_quiet_says_how_it_ended_alone(tmp_path: Path, run: Run, said: Said) -> None:
    assert run("deploy", str(make_archive(tmp_path / "release", "3.0")), "--quiet") == 0
    assert said() == "tiny 3.0 is the default\n"


def test_deploy_leaves_the_default_alone_where_it_is_told(
    server: FakeServer, tmp_path: Path, run: Run, said: Said
) -> None:
    assert run("deploy", str(make_archive(tmp_path / "release", "3.0")), "--no-promote") == 0
    assert said().splitlines()[-1] == "tiny 3.0 is deployed beside the default"
    assert server.state.models["tiny"].default == "2.0"


@pytest.mark.parametrize(
    ("command", "last_line", "default", "versions"),
    [
        pytest.param(("promote", "1.0"), "tiny 1.0 is the default", "1.0", ["1.0", "2.0"], id="promote"),
        pytest.param(("rollback",), "tiny 1.0 is the default", "1.0", ["1.0", "2.0"], id="rollback"),
        pytest.param(("rollback", "1.0"), "tiny 1.0 is the default", "1.0", ["1.0", "2.0"], id="rollback to"),
        pytest.param(("retire", "1.0"), "tiny 1.0 is retired", "2.0", ["2.0"], id="retire"),
        pytest.param(
            ("default-model", "tiny"),
            "requests that name no model mean tiny",
            "2.0",
            ["1.0", "2.0"],
            id="default model",
        ),
        pytest.param(("scale", "1.0", "--workers", "0"), "tiny 1.0 is unloaded", "2.0", ["1.0", "2.0"], id="unload"),
        pytest.param(("scale", "1.0", "--workers", "1"), "tiny 1.0 is loaded", "2.0", ["1.0", "2.0"], id="load"),
    ],
)
def test_it_says_in_its_last_line_what_is_so_now(
    server: FakeServer,
    run: Run,
    said: Said,
    *,
    command: tuple[str, ...],
    last_line: str,
    default: str,
    versions: list[str],
) -> None:
    assert run(*command) == 0
    assert said().splitlines()[-1] == last_line
    assert server.management.default_version("tiny") == server.state.models["tiny"].default == default
    assert server.registered() == server.recorded() == versions


def test_what_is_retired_already_is_no_failure_where_that_was_said(server: FakeServer, run: Run, said: Said) -> None:
    assert run("retire", "1.0", "--if-exists") == 0
    assert said().splitlines()[-1] == "tiny 1.0 is retired"
    assert run("retire", "1.0", "--if-exists") == 0
    assert said() == "1.0 is not deployed: nothing to do\n"
    assert server.recorded() == ["2.0"]


def test_the_last_version_of_a_model_goes_by_force(
    server: FakeServer, run: Run, said: Said, capsys: pytest.CaptureFixture[str]
) -> None:
    server.serve("1.0", model="story")
    assert run("retire", "1.0", "--model", "story") == 1
    assert "1.0 is the last version of story" in capsys.readouterr().err
    assert run("retire", "1.0", "--model", "story", "--force") == 0
    assert said().splitlines()[-1] == "story 1.0 is retired"
    assert server.registered("story") == []


@pytest.mark.parametrize("command", [("promote", "1.0"), ("canary", "1.0", "--percent", "5")], ids=" ".join)
def test_of_an_unloaded_version_it_is_said_how_to_load_it(
    server: FakeServer, run: Run, capsys: pytest.CaptureFixture[str], command: tuple[str, ...]
) -> None:
    server.management.scale("tiny", "1.0", 0)
    assert run(*command) == 1
    assert capsys.readouterr().err == "torchbridge: tiny 1.0 is unloaded: torchbridge scale 1.0 --workers 1 loads it.\n"


@pytest.mark.parametrize(
    ("verdict", "flags", "code", "default"),
    [
        pytest.param(Verdict.PROMOTE, (), 0, "1.0", id="it is no worse"),
        pytest.param(Verdict.PROMOTE, ("--shadow",), 0, "2.0", id="its shadow is no worse"),
        pytest.param(Verdict.FAILS_MORE, (), 3, "2.0", id="it fails more often"),
        pytest.param(Verdict.SLOWER, (), 3, "2.0", id="it is slower"),
        pytest.param(Verdict.UNDECIDED, (), 4, "2.0", id="nobody knows"),
        pytest.param(Verdict.LOST, (), 4, "2.0", id="it was lost"),
    ],
)
def test_a_canary_is_promoted_only_by_its_verdict(
    server: FakeServer,
    run: Run,
    monkeypatch: pytest.MonkeyPatch,
    *,
    verdict: Verdict,
    flags: tuple[str, ...],
    code: int,
    default: str,
) -> None:
    monkeypatch.setattr("adapter.commands.canaries.run_canary", lambda *_, **__: verdict)
    assert run("canary", "1.0", "--percent", "5", *flags) == code
    assert server.state.models["tiny"].default == default
