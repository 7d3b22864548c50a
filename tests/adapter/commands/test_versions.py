"""The commands on the versions of a server: what they print, and with what they end."""

import json
import signal
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest

from adapter import cli
from adapter.control.client import ControlClient
from adapter.durable import disk_space
from adapter.errors import UpstreamProtocol
from adapter.process.stop_signals import Stopped
from adapter.versions import lifecycle
from adapter.versions.canary import Verdict
from adapter.versions.journal import Operation, Step
from tests.adapter.archives.repacking import damage
from tests.adapter.versions.fake_server import Clock, FakeServer, let_versions_answer_as_recorded, make_archive

Run = Callable[..., int]


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FakeServer:
    """With tiny 1.0 and 2.0, the default, in the place of the one that the run directory stands for."""
    clock = Clock()
    for module in ("torchserve.loading", "versions.changes", "versions.deployment"):
        monkeypatch.setattr(f"adapter.{module}.time", clock)
    let_versions_answer_as_recorded(monkeypatch)
    server = FakeServer(tmp_path / "run", clock)
    server.serve("1.0", "2.0")
    for used in ("versions.RunningServer", "apply.RunningServer", "status.ObservedServer"):
        monkeypatch.setattr(f"adapter.commands.{used}", lambda _: server)
    return server


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Its exit code."""
    monkeypatch.setenv("COLUMNS", "200")

    def run(*arguments: str) -> int:
        monkeypatch.setattr("sys.argv", ["torchbridge", *arguments, "--run-directory", str(tmp_path / "run")])
        with pytest.raises(SystemExit) as exit_:
            cli.main()
        return int(exit_.value.code or 0)

    return run


@pytest.fixture
def said(capsys: pytest.CaptureFixture[str]) -> Callable[[], str]:
    """What was printed since it was asked last; nothing was said of a failure."""

    def said() -> str:
        output, errors = capsys.readouterr()
        assert errors == ""
        return output

    return said


Said = Callable[[], str]


def expect_refusal(capsys: pytest.CaptureFixture[str], reason: str) -> None:
    refusal = capsys.readouterr().err
    assert refusal.startswith("torchbridge: ")
    assert refusal.count("\n") == 1
    assert reason in refusal


# What they do


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


def test_what_was_interrupted_is_ended_first_and_said(server: FakeServer, run: Run, said: Said) -> None:
    interrupt_deployment(server, Step.LOAD)
    assert run("scale", "2.0", "--workers", "1") == 0
    assert said().splitlines()[:2] == [
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


# What they refuse


@pytest.mark.parametrize(
    ("command", "reason"),
    [
        pytest.param(("promote", "9.0"), "tiny has no version 9.0. Deployed: 1.0, 2.0.", id="unknown version"),
        pytest.param(("promote", "1.0", "--model", "x"), "There is no model 'x' here. Served: tiny.", id="no model"),
        pytest.param(("retire", "2.0"), "promote another one first", id="the default"),
        pytest.param(("scale", "2.0", "--workers", "0"), "without a worker nobody would be answered", id="unload"),
        pytest.param(("deploy", "/absent.mar"), "No such file", id="no file"),
        pytest.param(("apply", "/absent.yaml"), "No such file", id="no models.yaml"),
        pytest.param(("canary", "9.0", "--percent", "5"), "tiny has no version 9.0", id="canary"),
        pytest.param(("default-model", "x"), "There is no model 'x' here. Served: tiny.", id="no default model"),
    ],
)
def test_a_refusal_is_one_line_and_changes_nothing(
    server: FakeServer, run: Run, capsys: pytest.CaptureFixture[str], command: tuple[str, ...], reason: str
) -> None:
    state = server.state
    assert run(*command) == 1
    expect_refusal(capsys, reason)
    assert (server.state, server.management.changes, server.journal.unfinished()) == (state, [], None)


def test_a_damaged_file_of_a_version_that_is_loaded_already_is_a_refusal(
    server: FakeServer, tmp_path: Path, run: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    archive = make_archive(tmp_path / "release", "1.0")
    damage(archive)
    assert run("deploy", str(archive)) == 1
    output, refusal = capsys.readouterr()
    assert "its content has changed" in refusal
    assert "already deployed" not in output
    assert (server.state.models["tiny"].default, server.management.changes) == ("2.0", [])


def test_a_version_for_which_there_is_no_space_is_a_refusal_with_an_exit_code_of_its_own(
    server: FakeServer, tmp_path: Path, run: Run, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(disk_space.shutil, "disk_usage", lambda _: SimpleNamespace(free=1_000_000))
    assert run("deploy", str(make_archive(tmp_path / "release", "3.0"))) == 6
    expect_refusal(capsys, f" MB in {server.files.run_directory}, 1.0 MB are free.")
    assert (server.management.changes, server.journal.unfinished()) == ([], None)


def test_torchserve_without_space_to_unpack_is_the_same_refusal(
    server: FakeServer, tmp_path: Path, run: Run, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    half = server.files.unpacked / "models123.download"

    def register(_: str) -> None:
        half.mkdir(parents=True)
        monkeypatch.setattr(disk_space.shutil, "disk_usage", lambda _: SimpleNamespace(free=0))
        raise UpstreamProtocol("Failed to save model")

    monkeypatch.setattr(server.management, "register", register)
    assert run("deploy", str(make_archive(tmp_path / "release", "3.0"))) == 6
    assert f" in {server.files.unpacked}, 0 bytes are free." in capsys.readouterr().err
    assert not half.exists()


def test_a_worker_that_is_not_ready_is_a_refusal(
    server: FakeServer, run: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    server.management.models["tiny"]["1.0"] = [False]
    assert run("rollback") == 1
    expect_refusal(capsys, "tiny 1.0 has no worker that is ready")


def test_while_another_command_is_at_it_the_exit_code_says_so(
    server: FakeServer, run: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    with server.locked("deploy tiny-3.0.mar"):
        assert run("rollback") == 5
        expect_refusal(capsys, "Another command is changing this server: deploy tiny-3.0.mar (process ")
        assert run("status") == 0


@pytest.mark.parametrize("command", [("status",), ("rollback",), ("scale", "1.0", "--workers", "0")], ids=" ".join)
def test_where_no_server_runs_it_says_so(
    run: Run, capsys: pytest.CaptureFixture[str], command: tuple[str, ...]
) -> None:
    assert run(*command) == 1
    expect_refusal(capsys, "torchbridge serve starts one")


@pytest.mark.parametrize("command", [("status",), ("retire", "1.0")], ids=" ".join)
def test_where_the_gateway_does_not_run_it_says_so(
    server: FakeServer, run: Run, capsys: pytest.CaptureFixture[str], command: tuple[str, ...]
) -> None:
    server.gateway = ControlClient(server.files.run_directory / "control.sock")
    assert run(*command) == 1
    expect_refusal(capsys, "No gateway runs in")


# A canary


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


# What they show


def test_status_for_programs_is_json(server: FakeServer, run: Run, said: Said) -> None:
    assert run("status", "--json") == 0
    first, second = json.loads(said())
    assert (first["version"], first["is_previous"], first["ready_workers"]) == ("1.0", True, 1)
    assert (second["version"], second["is_default"], second["archive"]) == ("2.0", True, "tiny-2.0.mar")
    assert second["digest"] == server.state.models["tiny"].versions["2.0"].digest


@pytest.mark.usefixtures("server")
def test_status_for_people_is_a_line_each(run: Run, said: Said) -> None:
    assert run("status") == 0
    assert [line.split()[:3] for line in said().splitlines()] == [
        ["model", "version", "role"],
        ["tiny", "1.0", "previous"],
        ["tiny", "2.0", "default"],
    ]


def test_status_can_be_watched(server: FakeServer, run: Run, said: Said, monkeypatch: pytest.MonkeyPatch) -> None:
    def retire_then_stop(seconds: float) -> None:
        if server.recorded() == ["2.0"]:
            raise Stopped(signal.SIGINT)
        assert seconds == 2
        lifecycle.retire(server, "tiny", "1.0", 1)  # type: ignore[arg-type]

    monkeypatch.setattr("adapter.commands.status.time", SimpleNamespace(sleep=retire_then_stop))
    assert run("status", "--watch", "2") == 0
    assert [line.split()[1] for line in said().splitlines()] == ["version", "1.0", "2.0", "version", "2.0"]


def test_list_for_programs_is_json_also_while_no_server_runs(tmp_path: Path, run: Run, said: Said) -> None:
    archive = make_archive(tmp_path / "run" / "model_store", "1.0")
    assert run("list", "--json") == 0
    (listed,) = json.loads(said())
    assert (listed["archive"], listed["size"], listed["is_deployed"]) == ("tiny-1.0.mar", archive.stat().st_size, False)


def test_list_for_people_is_a_line_each(server: FakeServer, run: Run, said: Said) -> None:
    server.put_into_store("3.0")
    assert run("list") == 0
    lines = [line.split() for line in said().splitlines()]
    assert [(line[0], line[-1]) for line in lines[1:3]] == [("tiny-1.0.mar", "deployed"), ("tiny-2.0.mar", "default")]
    assert lines[3][0] == "tiny-3.0.mar"


# apply


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
    assert server.management.changes == []


def test_only_a_plan_is_json(models: Path, run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("apply", str(models), "--json") == 2
    assert "it takes --plan" in capsys.readouterr().err


def test_an_apply_does_what_was_planned_and_then_there_is_nothing_to_do(
    server: FakeServer, models: Path, run: Run, said: Said
) -> None:
    assert run("apply", str(models)) == 0
    assert [line for line in said().splitlines() if not line.startswith(" ")][1:] == [
        "promote tiny 3.0",
        "retire tiny 1.0",
    ]
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
