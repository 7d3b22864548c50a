import json
from collections.abc import Callable
from pathlib import Path

import pytest

from adapter import cli
from adapter.archives.archive import build_archive
from adapter.archives.archive_reader import read_probes, read_record
from adapter.probes import Probes
from tests.project import PROJECT

TINY = str(PROJECT / "models" / "tiny")


@pytest.fixture(scope="module")
def signed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with a key pair, and an archive that was packed and signed by the command line."""
    directory = tmp_path_factory.mktemp("signed")
    assert run("keys", "new", str(directory / "release")) == 0
    packing = ("pack", TINY, "--name", "tiny", "--version", "1.0", "--output", str(directory))
    assert run(*packing, "--sign", str(directory / "release.key")) == 0
    return directory


def run(*arguments: str) -> int:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("sys.argv", ["torchbridge", *arguments])
        with pytest.raises(SystemExit) as exit_:
            cli.main()
    return int(exit_.value.code or 0)


def test_what_was_packed_and_signed_is_verified(signed: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("verify", str(signed / "tiny-1.0.mar"), "--key", str(signed / "release.pub")) == 0
    assert "tiny 1.0 is whole and signed with" in capsys.readouterr().out


def test_what_the_model_answered_is_packed_too(signed: Path) -> None:
    probes = read_probes(signed / "tiny-1.0.mar")
    assert probes is not None
    assert "Once upon a time" in {probe.prompt for probe in probes.probes}


def test_what_pack_warns_of_is_said_and_no_failure(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def check(_: Path, __: Path, warn: Callable[[str], None]) -> Probes:
        warn("The checkpoint has tensors that nobody uses")
        return Probes(probes=())

    monkeypatch.setattr("adapter.commands.archives.check_model", check)

    assert run("pack", TINY, "--name", "tiny", "--version", "1.0", "--output", str(tmp_path)) == 0

    printed = capsys.readouterr()
    assert [line for line in printed.err.splitlines() if "warning" in line] == [
        "torchbridge: warning: The checkpoint has tensors that nobody uses"
    ]
    assert printed.out.startswith(f"{tmp_path / 'tiny-1.0.mar'}\n")


def test_pack_prints_where_the_archive_is_and_its_digest(signed: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("pack", TINY, "--name", "tiny", "--version", "1.0", "--output", str(signed)) == 0
    path, digest = capsys.readouterr().out.splitlines()
    assert path == str(signed / "tiny-1.0.mar")
    assert digest == read_record(Path(path)).digest


def test_what_pack_prints_for_programs(signed: Path, capsys: pytest.CaptureFixture[str]) -> None:
    packing = ("pack", TINY, "--name", "tiny", "--version", "1.0", "--output", str(signed))
    assert run(*packing, "--sign", str(signed / "release.key"), "--json") == 0
    packed = json.loads(capsys.readouterr().out)
    assert packed["digest"] == read_record(signed / "tiny-1.0.mar").digest
    assert packed["signature"] == str(signed / "tiny-1.0.mar.sig")


def test_without_a_key_nobody_is_said_to_have_signed(signed: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("verify", str(signed / "tiny-1.0.mar")) == 0
    assert "not signed" in capsys.readouterr().out


def test_an_archive_that_was_changed_is_refused_in_one_line(
    signed: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    changed = tmp_path / "tiny-1.0.mar"
    content = bytearray((signed / "tiny-1.0.mar").read_bytes())
    content[len(content) // 2] ^= 1
    changed.write_bytes(content)
    assert run("verify", str(changed)) == 1
    reason = capsys.readouterr().err
    assert reason == f"torchbridge: {changed}: model/model.safetensors: its content has changed.\n"


def test_an_archive_that_nobody_signed_is_refused_where_a_key_is_given(
    signed: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "tiny-1.0.mar").write_bytes((signed / "tiny-1.0.mar").read_bytes())
    assert run("verify", str(tmp_path / "tiny-1.0.mar"), "--key", str(signed / "release.pub")) == 1
    assert capsys.readouterr().err.startswith("torchbridge: ")


def test_inspect_shows_the_model_and_its_files(signed: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("inspect", str(signed / "tiny-1.0.mar")) == 0
    output = capsys.readouterr().out
    assert "1,722,048 F32" in output
    assert "model/model.safetensors" in output


def test_inspect_for_programs_is_json(signed: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("inspect", str(signed / "tiny-1.0.mar"), "--json") == 0
    record = json.loads(capsys.readouterr().out)
    assert (record["name"], record["version"], record["model"]["architecture"]) == ("tiny", "1.0", "LlamaForCausalLM")


def test_what_torchbridge_did_not_pack_cannot_be_inspected(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "other.mar").write_bytes(b"no zip")
    assert run("inspect", str(tmp_path / "other.mar")) == 1
    assert "is not an archive that torchbridge packed" in capsys.readouterr().err


def test_an_archive_without_probes_cannot_be_probed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    archive = build_archive(PROJECT / "models" / "tiny", "tiny", "1.0", tmp_path)
    assert run("probe", str(archive)) == 1
    assert (
        capsys.readouterr().err
        == f"torchbridge: {archive} holds no probes to compare with: torchbridge pack records them.\n"
    )


def test_a_key_pair_is_never_replaced(signed: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = (signed / "release.key").read_bytes()
    assert run("keys", "new", str(signed / "release")) == 1
    assert (signed / "release.key").read_bytes() == before
    assert capsys.readouterr().err.count("\n") == 1
