"""`torchbridge canary`: how it is begun in the server, looked at and aborted."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from adapter import cli
from adapter.control.client import ControlClient
from adapter.versions.canary_keeper import CanaryKeeper
from adapter.versions.server_files import ServerFiles
from tests.adapter.versions.fake_canary import GatewayWithCanary, report
from tests.adapter.versions.fake_server import Clock, FakeServer

Run = Callable[..., int]
SHARE = "5 % of the requests, at random, go to 1.0, the others to 2.0"


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FakeServer:
    """With tiny 1.0 and 2.0, the default, in the place of the one that the run directory stands for."""
    clock = Clock()
    for module in ("torchserve.loading", "versions.changes", "versions.canary"):
        monkeypatch.setattr(f"adapter.{module}.time", clock)
    server = FakeServer(tmp_path / "run", clock)
    server.gateway = GatewayWithCanary(server.management, clock)
    server.serve("1.0", "2.0")
    monkeypatch.setattr("adapter.commands.changing_server.RunningServer", lambda _: server)
    monkeypatch.setattr("adapter.commands.canaries.ControlClient", lambda _: server.gateway)
    return server


@pytest.fixture
def gateway(server: FakeServer) -> GatewayWithCanary:
    return server.gateway


@pytest.fixture
def keeper(server: FakeServer, gateway: GatewayWithCanary) -> CanaryKeeper:
    return CanaryKeeper(gateway, server.files, lambda: server)


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Its exit code."""

    def run(*arguments: str) -> int:
        run_directory = () if "--help" in arguments else ("--run-directory", str(tmp_path / "run"))
        monkeypatch.setattr("sys.argv", ["torchbridge", "canary", *arguments, *run_directory])
        with pytest.raises(SystemExit) as exit_:
            cli.main()
        return int(exit_.value.code or 0)

    return run


@pytest.mark.parametrize(
    "arguments",
    [("1.0", "--percent", "5"), ("--percent", "5", "1.0"), ("begin", "1.0", "--percent", "5")],
    ids=" ".join,
)
def test_with_no_wait_it_is_begun_for_the_server_to_watch(
    gateway: GatewayWithCanary, run: Run, capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...]
) -> None:
    assert run(*arguments, "--no-wait", "--timeout", "600") == 0
    assert (gateway.begun.version, gateway.begun.percent, gateway.begun.timeout) == ("1.0", 5, 600)
    assert gateway.num_ended == 0
    first, second = capsys.readouterr().out.splitlines()
    assert first == f"{SHARE}. If none fails, it takes 357 requests on 1.0 to promote it."
    assert "torchbridge canary status" in second


def test_what_is_begun_and_aborted_is_told_to_programs(
    gateway: GatewayWithCanary, run: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("1.0", "--percent", "5", "--no-wait", "--json") == 0
    begun = json.loads(capsys.readouterr().out)
    assert (begun["version"], begun["default"], begun["verdict"], begun["is_promoted"]) == ("1.0", "2.0", None, False)
    gateway.seen = report(10)
    assert run("abort", "--json") == 0
    aborted = json.loads(capsys.readouterr().out)
    assert (aborted["model"], aborted["version"], aborted["default"]) == ("tiny", "1.0", "2.0")


def test_without_it_a_command_watches(gateway: GatewayWithCanary, run: Run) -> None:
    assert run("1.0", "--percent", "5", "--timeout", "1") == 4
    assert (gateway.begun.timeout, gateway.num_ended) == (None, 1)


def test_a_version_that_is_not_there_is_not_begun(gateway: GatewayWithCanary, run: Run) -> None:
    assert run("9.0", "--percent", "5", "--no-wait") == 1
    assert gateway.begun is None


def test_help_shows_the_commands_and_that_of_a_version_how_it_is_begun(
    run: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    for arguments, words in ((("--help",), ("begin", "status", "abort")), (("1.0", "--help"), ("--percent",))):
        assert run(*arguments) == 0
        shown = capsys.readouterr().out
        assert all(word in shown for word in words)


# Status


def test_status_shows_one_that_runs_and_how_far_it_is(
    gateway: GatewayWithCanary, keeper: CanaryKeeper, run: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    gateway.seen = report(10)
    keeper.look()
    assert run("status") == 0
    first, second = capsys.readouterr().out.splitlines()
    assert first == f"tiny 1.0, watched by the server, begun 0 min ago: {SHARE}"
    assert second.startswith("  1.0: 0 of 10 failed")


def test_status_shows_what_became_of_the_last_one(
    server: FakeServer,
    gateway: GatewayWithCanary,
    keeper: CanaryKeeper,
    run: Run,
    capsys: pytest.CaptureFixture[str],
) -> None:
    gateway.seen = report(500)
    keeper.look()
    assert server.state.models["tiny"].default == "1.0"
    assert run("status") == 0
    assert capsys.readouterr().out.startswith("tiny 1.0, promoted 0 min ago: 1.0 fails at most 2.0% more often")


def test_status_of_a_server_that_does_not_run_says_that_it_was_not_promoted(
    server: FakeServer,
    gateway: GatewayWithCanary,
    keeper: CanaryKeeper,
    *,
    run: Run,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    gateway.seen = report(10)
    keeper.look()
    monkeypatch.setattr("adapter.commands.canaries.ControlClient", ControlClient)
    assert run("status") == 0
    assert capsys.readouterr().out == "tiny 1.0, cut short: its server is gone\n"
    assert server.state.models["tiny"].default == "2.0"


def test_status_of_one_that_a_command_watches(
    gateway: GatewayWithCanary, run: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    gateway.seen = report(10, timeout=None)
    assert run("status") == 0
    assert capsys.readouterr().out.startswith(f"tiny 1.0, watched by a command: {SHARE}")


def test_without_a_canary_it_says_so(server: FakeServer, run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("status") == 0
    assert capsys.readouterr().out == "There is no canary.\n"
    assert run("status", "--json") == 0
    assert json.loads(capsys.readouterr().out) == []
    assert not server.files.canaries.exists()


def test_status_for_programs_is_json(
    gateway: GatewayWithCanary, keeper: CanaryKeeper, run: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    gateway.seen = report(10)
    keeper.look()
    assert run("status", "--json") == 0
    [running] = json.loads(capsys.readouterr().out)
    assert (running["version"], running["outcome"], running["report"]["canary"]["answers"]) == ("1.0", None, 10)
    gateway.seen = report(500)
    keeper.look()
    assert run("status", "--json") == 0
    [over] = json.loads(capsys.readouterr().out)
    assert (over["version"], over["outcome"], over["report"]) == ("1.0", "promoted", None)


# Abort


def test_one_that_is_aborted_is_over_and_not_promoted(
    server: FakeServer,
    gateway: GatewayWithCanary,
    keeper: CanaryKeeper,
    run: Run,
    capsys: pytest.CaptureFixture[str],
) -> None:
    gateway.seen = report(10)
    keeper.look()
    assert run("abort") == 0
    assert capsys.readouterr().out == "the canary of tiny 1.0 is aborted: 2.0 answers all requests\n"
    keeper.look()
    assert run("status") == 0
    assert "cut short 0 min ago: It was aborted." in capsys.readouterr().out
    assert server.state.models["tiny"].default == "2.0"


@pytest.mark.parametrize(("arguments", "reason"), [((), "No canary runs."), (("--model", "a"), "No such canary runs.")])
def test_where_there_is_none_there_is_nothing_to_abort(
    server: FakeServer, run: Run, capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...], reason: str
) -> None:
    assert isinstance(server.files, ServerFiles)
    assert run("abort", *arguments) == 1
    assert capsys.readouterr().err == f"torchbridge: {reason}\n"


def test_where_there_are_several_one_has_to_be_named(
    gateway: GatewayWithCanary, run: Run, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    both = (report(), report().model_copy(update={"model": "chat", "id": "two"}))
    monkeypatch.setattr(gateway, "canaries", lambda: both)
    assert run("abort") == 1
    assert "name one with --model (chat, tiny)" in capsys.readouterr().err
    assert run("abort", "--model", "tiny") == 0
