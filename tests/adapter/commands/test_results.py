"""What the commands print that change a server: the result, on the standard output, in words or as JSON."""

import json
from pathlib import Path
from typing import Any

import pytest

from adapter.commands.canary_results import CanaryResult
from adapter.documents.command_page import JSON_OUTPUTS
from adapter.versions.canary import Verdict
from adapter.versions.journal import Operation
from tests.adapter.commands.conftest import Run, Said
from tests.adapter.versions.fake_server import FakeServer, make_archive


@pytest.fixture
def release(tmp_path: Path) -> Path:
    return make_archive(tmp_path / "release", "3.0")


def printed(said: Said, command: str) -> Any:
    """Checked against the fields that the page of commands has."""
    output = said()
    JSON_OUTPUTS[command].validate_json(output)
    return json.loads(output)


def test_deploy_tells_programs_what_it_has_changed(server: FakeServer, release: Path, run: Run, said: Said) -> None:
    assert run("deploy", str(release), "--json") == 0
    shown = printed(said, "deploy")
    digest = server.state.models["tiny"].versions["3.0"].digest
    assert (shown["change"], shown["model"], shown["version"], shown["digest"]) == ("deploy", "tiny", "3.0", digest)
    assert (shown["default_before"], shown["default"], shown["workers"]) == ("2.0", "3.0", 1)
    assert (shown["is_changed"], shown["interrupted"]) == (True, None)
    assert shown["seconds"] >= 0


def test_a_deployment_that_was_made_already_has_changed_nothing(
    server: FakeServer, release: Path, run: Run, said: Said
) -> None:
    for is_changed in (True, False):
        assert run("deploy", str(release), "--json") == 0
        assert printed(said, "deploy")["is_changed"] is is_changed
    assert server.recorded() == ["1.0", "2.0", "3.0"]


@pytest.mark.parametrize(
    ("command", "expected"),
    [
        pytest.param(("promote", "1.0"), {"default_before": "2.0", "default": "1.0"}, id="promote"),
        pytest.param(("rollback",), {"version": "1.0", "default": "1.0"}, id="rollback"),
        pytest.param(("scale", "1.0", "--workers", "0"), {"workers": 0, "is_changed": True}, id="unload"),
        pytest.param(("scale", "1.0", "--workers", "1"), {"workers": 1, "is_changed": False}, id="is loaded"),
        pytest.param(("retire", "1.0"), {"version": "1.0", "default": "2.0", "workers": None}, id="retire"),
        pytest.param(("retire", "9", "--if-exists"), {"model": None, "is_changed": False, "digest": None}, id="absent"),
        pytest.param(("default-model", "tiny"), {"default_model": "tiny", "is_changed": False}, id="default model"),
        pytest.param(("recover",), {"interrupted": None}, id="recover"),
    ],
)
@pytest.mark.usefixtures("server")
def test_a_command_tells_programs_what_is_so_now(
    run: Run, said: Said, command: tuple[str, ...], expected: dict[str, object]
) -> None:
    assert run(*command, "--json") == 0
    shown = printed(said, command[0])
    assert {name: shown[name] for name in expected} == expected


def test_what_was_interrupted_is_a_part_of_the_result(server: FakeServer, run: Run, said: Said) -> None:
    for command in (("scale", "1.0", "--workers", "1"), ("recover",)):
        server.journal.begin(Operation(kind="deploy", model="tiny", version="4.0", archive="tiny-4.0.mar"))
        assert run(*command, "--json") == 0
        assert printed(said, command[0])["interrupted"].startswith("the deploy of tiny 4.0 is undone")


@pytest.mark.parametrize("verdict", [Verdict.PROMOTE, Verdict.SLOWER])
@pytest.mark.usefixtures("server")
def test_a_canary_tells_programs_its_verdict(
    run: Run, said: Said, monkeypatch: pytest.MonkeyPatch, verdict: Verdict
) -> None:
    monkeypatch.setattr("adapter.commands.canaries.run_canary", lambda *_, **__: verdict)
    is_promoted = verdict is Verdict.PROMOTE
    assert run("canary", "1.0", "--percent", "5", "--json") == (0 if is_promoted else 3)
    result = CanaryResult.model_validate_json(said())
    assert (result.verdict, result.is_promoted) == (verdict, is_promoted)
    assert result.default == ("1.0" if is_promoted else "2.0")


@pytest.mark.parametrize("command", ["deploy", "scale", "apply", "canary"])
def test_how_far_a_command_is_is_no_part_of_its_output(
    server: FakeServer,
    release: Path,
    run: Run,
    *,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    command: str,
) -> None:
    def watched(*_: object, report: Any, **__: object) -> Verdict:
        report("how far it is")
        return Verdict.PROMOTE

    monkeypatch.setattr("adapter.commands.canaries.run_canary", watched)
    models = release.with_name("models.yaml")
    models.write_text(
        json.dumps({"models": {"tiny": {"default": "3.0", "versions": {"3.0": {"archive": release.name}}}}})
    )
    arguments = {
        "deploy": (str(release),),
        "scale": ("1.0", "--workers", "0"),
        "apply": (str(models),),
        "canary": ("1.0", "--percent", "5"),
    }[command]
    assert run(command, *arguments) == 0
    output, progress = capsys.readouterr()
    assert output.count("\n") == 1
    assert progress
    assert server.journal.unfinished() is None
