"""`torchbridge push` and `torchbridge pull`: what they print, and with what they end."""

import json
import re
from pathlib import Path

import pytest

from adapter import cli
from adapter.archives.signature_paths import signature_path
from tests.registry_server import RegistryServer


def run(*arguments: object) -> int:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("sys.argv", ["torchbridge", *map(str, arguments)])
        with pytest.raises(SystemExit) as exit_:
            cli.main()
    return int(exit_.value.code or 0)


def test_what_push_prints_pull_takes(
    registry: RegistryServer, signed: Path, keys: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("push", signed, registry.reference("commands/tiny:1.0")) == 0
    pushed = capsys.readouterr().out.strip()
    assert re.fullmatch(rf"oci://{registry.host}/commands/tiny@sha256:[0-9a-f]{{64}}", pushed)
    output = tmp_path / "pulled"
    assert run("pull", pushed, "--output", output, "--key", keys / "release.pub") == 0
    assert capsys.readouterr().out == f"{output / 'tiny-1.0.mar'}\n{pushed}\n"
    assert signature_path(output / "tiny-1.0.mar").exists()


def test_a_tag_is_told_by_its_digest(
    registry: RegistryServer, archive: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    reference = registry.reference("commands/tag:1.0")
    assert run("push", archive, reference) == 0
    pushed = capsys.readouterr().out.strip()
    assert run("pull", reference, "--output", tmp_path / "pulled") == 0
    assert capsys.readouterr().out.splitlines()[-1] == pushed


def test_what_push_and_pull_print_for_programs(
    registry: RegistryServer, archive: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("push", archive, registry.reference("commands/json:1.0"), "--json") == 0
    pushed = json.loads(capsys.readouterr().out)
    assert (pushed["archive"], pushed["model"], pushed["version"]) == (str(archive), "tiny", "1.0")
    assert run("pull", pushed["reference"], "--output", tmp_path / "pulled", "--json") == 0
    pulled = json.loads(capsys.readouterr().out)
    assert pulled["archive"] == str(tmp_path / "pulled" / "tiny-1.0.mar")
    assert (pulled["reference"], pulled["digest"]) == (pushed["reference"], pushed["digest"])


@pytest.mark.parametrize(
    ("name", "reason"), [("commands/absent:1.0", "has no oci://"), ("commands/Absent:1.0", "is no reference")]
)
def test_what_cannot_be_pulled_is_said_in_one_line(
    registry: RegistryServer, tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str, reason: str
) -> None:
    assert run("pull", registry.reference(name), "--output", tmp_path / "pulled") == 1
    refusal = capsys.readouterr().err
    assert refusal.startswith("torchbridge: ")
    assert refusal.count("\n") == 1
    assert reason in refusal
