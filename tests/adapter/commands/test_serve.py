"""`torchbridge serve`: what it prints, its exit codes, and one line for every failure that can be expected."""

import logging
import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NoReturn

import pytest

from adapter.errors import UpstreamUnavailable
from adapter.process.stop_signals import Stopped
from adapter.torchserve.ports import bind
from adapter.torchserve.server_process import StartFailed
from adapter.versions.desired_state import DesiredState
from adapter.versions.followed_file import FollowedFile
from tests.adapter.commands.called_command import run


class FakeStack:
    """A stack that is up, until `end` says how it ends."""

    url = "http://127.0.0.1:8000"
    needs_key = False
    is_open_to_all = False
    log_format, gateway_log = "text", Path(os.devnull)

    def __init__(self, end: Callable[[], NoReturn]) -> None:
        self.wait = end

    def sample(self) -> Iterator[str]:
        yield from (", there", " was a fox.")


def fail(error: BaseException) -> NoReturn:
    raise error


@contextmanager
def fake_start(*arguments: object, **_: object) -> Iterator[FakeStack]:
    report = arguments[1]
    assert callable(report)
    report("starting TorchServe")
    yield FakeStack(lambda: fail(Stopped(signal.SIGTERM)))


def test_a_file_to_watch_is_read_at_the_start_and_handed_to_the_stack(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    models = tmp_path / "models.yaml"
    models.write_text('models: {tiny: {default: "1.0", versions: {"1.0": {archive: tiny.mar}}}}')
    given: dict[str, object] = {}

    @contextmanager
    def note(state: object, report: object, **options: object) -> Iterator[FakeStack]:
        given.update(options, state=state)
        with fake_start(state, report) as stack:
            yield stack

    monkeypatch.setattr("adapter.commands.serve.whole_stack", note)
    assert run(monkeypatch, "serve", "--models", str(models), "--watch") == 0
    assert isinstance(given["followed"], FollowedFile)
    assert isinstance(given["state"], DesiredState)
    assert run(monkeypatch, "serve", "--models", str(models)) == 0
    assert given["followed"] is None


def test_nothing_can_be_watched_without_a_file(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(monkeypatch, "serve", "--watch") == 2
    assert "needs a file to watch" in capsys.readouterr().err


def test_serve_shows_the_stages_a_sample_the_address_and_a_command(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("adapter.commands.serve.whole_stack", fake_start)

    assert run(monkeypatch, "serve") == 0
    shown, progress = capsys.readouterr()
    assert shown == (
        "\nOnce upon a time, there was a fox.\n"
        "\nServing at http://127.0.0.1:8000 until Ctrl-C. Try:\n"
        "  curl -s http://127.0.0.1:8000/generate -H 'content-type: application/json'"
        ' -d \'{"prompt": "Once upon a time"}\'\n'
        "The API is described at http://127.0.0.1:8000/docs; for OpenAI's clients:"
        " OPENAI_BASE_URL=http://127.0.0.1:8000/v1\n"
    )
    assert progress == "starting TorchServe ...\n\nstopping ...\n"


@pytest.mark.usefixtures("hears_all_signals")
@pytest.mark.parametrize("signal_number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_stop_in_the_middle_of_the_start_is_no_success(
    monkeypatch: pytest.MonkeyPatch, signal_number: signal.Signals
) -> None:
    @contextmanager
    def interrupted(*_: object, **__: object) -> Iterator[FakeStack]:
        os.kill(os.getpid(), signal_number)
        yield fail(AssertionError("the signal was not heard"))

    monkeypatch.setattr("adapter.commands.serve.whole_stack", interrupted)

    assert run(monkeypatch, "serve") == 128 + signal_number


def test_serve_with_keys_says_where_a_key_goes(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(FakeStack, "needs_key", True)
    monkeypatch.setattr("adapter.commands.serve.whole_stack", fake_start)

    assert run(monkeypatch, "serve") == 0
    output = capsys.readouterr().out
    assert "was a fox" in output
    assert "-H 'authorization: Bearer KEY'" in output


@pytest.mark.parametrize("is_open", [True, False])
def test_serve_says_what_anybody_can_do_where_anybody_can(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], *, is_open: bool
) -> None:
    monkeypatch.setattr(FakeStack, "is_open_to_all", is_open)
    monkeypatch.setattr("adapter.commands.serve.whole_stack", fake_start)

    assert run(monkeypatch, "serve") == 0
    assert ("whoever does can have text generated" in capsys.readouterr().err) == is_open


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (StartFailed("TorchServe ended."), "torchbridge: TorchServe ended.\n"),
        (UpstreamUnavailable("It is gone.", cause="port 1"), "torchbridge: It is gone. (port 1)\n"),
    ],
    ids=["a failed start", "a failure of the catalogue"],
)
def test_a_failure_to_serve_is_one_line(
    error: Exception, line: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("adapter.commands.serve.whole_stack", contextmanager(lambda *_, **__: fail(error)))

    assert run(monkeypatch, "serve") == 1
    assert capsys.readouterr().err == line


def test_settings_that_are_wrong_are_one_line_that_shows_no_password(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("TORCHBRIDGE_REDIS_URL", "redis://:s3cret@host:s3cret")
    monkeypatch.setenv("TORCHBRIDGE_CACHE_MAX_AGE", "-1")

    assert run(monkeypatch, "serve") == 1
    error = capsys.readouterr().err
    assert error.startswith("torchbridge: TORCHBRIDGE_CACHE_MAX_AGE: ")
    assert "; TORCHBRIDGE_REDIS_URL: Must be like " in error
    assert "s3cret" not in error
    assert error.count("\n") == 1


@pytest.mark.parametrize("by", ["options", "settings"])
def test_serve_listens_where_it_is_told_to(
    by: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with bind("127.0.0.2", 0, "somebody else", "") as taken:
        taken.listen()
        port = str(taken.getsockname()[1])
        options = ["--host", "127.0.0.2", "--port", port] if by == "options" else []
        monkeypatch.setenv("TORCHBRIDGE_HOST", "nowhere.invalid" if options else "127.0.0.2")
        monkeypatch.setenv("TORCHBRIDGE_PORT", "1" if options else port)

        assert run(monkeypatch, "serve", *options) == 1
    assert f"Port {port} of 127.0.0.2, for the gateway, cannot be used" in capsys.readouterr().err


@pytest.mark.parametrize("by", ["an option", "a variable"])
def test_serve_takes_its_settings_from_a_file(
    by: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "gateway.toml"
    file.write_text('host = "nowhere.invalid"\nport = 1')
    if by == "a variable":
        monkeypatch.setenv("TORCHBRIDGE_CONFIG", str(file))
    options = ["--config", str(file)] if by == "an option" else []

    assert run(monkeypatch, "serve", *options) == 1
    assert "'nowhere.invalid', for the gateway, is no name" in capsys.readouterr().err


def test_a_file_of_settings_that_is_wrong_is_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "gateway.toml"
    file.write_text("cache_maxage = 1")

    assert run(monkeypatch, "serve", "--config", str(file)) == 1
    error = f"torchbridge: {file}: cache_maxage is no setting: is cache_max_age meant?\n"
    assert capsys.readouterr().err == error


@pytest.mark.parametrize("port", ["80100", "-1"])
def test_a_port_that_is_none_is_refused(
    port: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(monkeypatch, "serve", "--port", port) == 2
    assert "Invalid value for '--port'" in capsys.readouterr().err


def test_an_archive_to_serve_that_is_not_there_is_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("adapter.serving.whole_stack.check_torchserve_ports", lambda _: None)
    archive = tmp_path / "tiny-2.0.mar"

    assert run(monkeypatch, "serve", "--port", "0", "--run-directory", str(tmp_path), "--model", str(archive)) == 1
    verifying, refusal = capsys.readouterr().err.splitlines()
    assert (verifying, refusal) == (f"verifying {archive} ...", f"torchbridge: {archive}: No such file or directory")


def test_serve_shows_what_the_gateway_logs(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    log = logging.getLogger("adapter.http.request_envelope")

    def end() -> NoReturn:
        log.info("a request")
        raise Stopped(signal.SIGTERM)

    @contextmanager
    def logging_start(*_: object, **__: object) -> Iterator[FakeStack]:
        log.info("the sample's request, which nobody made")
        try:
            yield FakeStack(end)
        finally:
            log.info("one that was ended by the stop")

    monkeypatch.setattr("adapter.commands.serve.whole_stack", logging_start)

    assert run(monkeypatch, "serve") == 0
    lines = capsys.readouterr().err.splitlines()
    logged = [line.partition(" INFO ")[2] for line in lines if " INFO " in line]
    assert logged == ["a request", "one that was ended by the stop"]
