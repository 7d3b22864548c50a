"""What a models.yaml has to be, and what its reader is told where it is not."""

from pathlib import Path

import pytest

from adapter.archives.archive_reader import ArchiveError, read_record
from adapter.archives.verification import VerificationError
from adapter.versions.desired_state import DesiredState, DesiredVersion, desired_record, installed_state
from adapter.versions.errors import ChangeRefused
from adapter.versions.server_files import ServerFiles
from tests.adapter.archives.repacking import put, repack
from tests.adapter.versions.fake_server import make_archive

TWO_VERSIONS = """
models:
  tiny:
    default: "2.0"
    versions:
      "1.0": {archive: old/tiny-1.0.mar, workers: 0}
      "2.0": {archive: tiny-2.0.mar}
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "release" / "models.yaml"
    path.parent.mkdir()
    path.write_text(TWO_VERSIONS)
    return path


def test_archives_are_meant_from_the_files_directory(
    path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    versions = DesiredState.read(path).models["tiny"].versions
    assert versions["1.0"].archive == str(path.parent / "old" / "tiny-1.0.mar")
    assert versions["2.0"].archive == str(path.parent / "tiny-2.0.mar")


def test_an_absolute_path_stays(path: Path, tmp_path: Path) -> None:
    path.write_text(TWO_VERSIONS.replace("tiny-2.0.mar", f"{tmp_path}/tiny-2.0.mar"))
    assert DesiredState.read(path).models["tiny"].versions["2.0"].archive == f"{tmp_path}/tiny-2.0.mar"


def test_a_place_in_a_registry_stays(path: Path) -> None:
    place = "oci://registry.example/models/tiny:2.0"
    path.write_text(TWO_VERSIONS.replace("tiny-2.0.mar", place))
    assert DesiredState.read(path).models["tiny"].versions["2.0"].archive == place


def test_the_default_is_the_first_and_has_a_worker_unless_told(path: Path) -> None:
    model = DesiredState.read(path).models["tiny"]
    assert [(version, each.workers) for version, each in model.default_first()] == [("2.0", 1), ("1.0", 0)]


@pytest.mark.parametrize(
    ("before", "after", "reason"),
    [
        pytest.param('"2.0": {a', "2.0: {a", r'tiny\.versions\.2\.0.*"1\.0", in quotes', id="unquoted version"),
        pytest.param('default: "2.0"', "default: 2.0", r'tiny\.default: .*"1\.0", in quotes', id="unquoted default"),
        pytest.param('default: "2.0"', 'default: "3.0"', "the default, 3.0, is none of the versions", id="default"),
        pytest.param('default: "2.0"', 'default: "1.0"', "the default, 1.0, has to have a worker", id="unloaded"),
        pytest.param("workers: 0", "workers: 2", r"versions\.1\.0\.workers: .*less than or equal to 1", id="workers"),
        pytest.param("workers: 0", "worker: 0", r"versions\.1\.0\.worker: Extra inputs", id="unknown key"),
        pytest.param("models:", "model:", "models: Field required", id="unknown first key"),
        pytest.param("archive: tiny-2.0.mar", "archive: ''", r"versions\.2\.0\.archive", id="no archive"),
        pytest.param('"1.0": {', '"../1": {', "pattern", id="no name"),
        pytest.param(TWO_VERSIONS, "models: {}", "models: .*at least 1", id="no model"),
        pytest.param(TWO_VERSIONS, "", r"models\.yaml: file: ", id="empty"),
        pytest.param(TWO_VERSIONS, "- tiny", r"models\.yaml: file: ", id="a list"),
    ],
)
def test_what_is_no_desired_state_is_refused_with_its_place(path: Path, before: str, after: str, reason: str) -> None:
    assert before in TWO_VERSIONS
    path.write_text(TWO_VERSIONS.replace(before, after))
    with pytest.raises(ChangeRefused, match=reason) as refused:
        DesiredState.read(path)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(b"models: [", id="torn"),
        pytest.param(b"models:\n\t- x", id="tab"),
        pytest.param(b"\xff\xfe\xff", id="no text"),
        pytest.param(b"models: 2026-99-99", id="a date that is none"),
    ],
)
def test_what_is_not_yaml_is_refused_in_one_line(path: Path, content: bytes) -> None:
    path.write_bytes(content)
    with pytest.raises(ChangeRefused, match="is not YAML: ") as refused:
        DesiredState.read(path)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        pytest.param("models: !!python/object:os.system {}", "line 1: tags", id="an object"),
        pytest.param(
            f"{TWO_VERSIONS}  tiny: {{default: '1.0', versions: {{}}}}\n", "line 8: the key 'tiny'", id="a model"
        ),
        pytest.param(f"{TWO_VERSIONS}      '1.0': {{archive: a.mar}}\n", r"line 8: the key '1\.0'", id="a version"),
        pytest.param("models: " + "[" * 30_000, "line 1: it has more than 16 levels", id="deep"),
        pytest.param(TWO_VERSIONS + "#" * 2**16, "it is larger than 64 KiB", id="large"),
    ],
)
def test_yaml_that_could_mean_something_else_to_others_is_refused_in_one_line(
    path: Path, content: str, reason: str
) -> None:
    path.write_text(content)
    with pytest.raises(ChangeRefused, match=rf"models\.yaml: {reason}") as refused:
        DesiredState.read(path)
    assert "\n" not in str(refused.value)


def test_a_file_that_is_not_there_is_an_error_of_the_system(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        DesiredState.read(tmp_path / "models.yaml")


@pytest.mark.parametrize(("model", "version"), [("tiny", "3.0"), ("small", "2.0")])
def test_an_archive_of_another_model_or_version_is_refused(tmp_path: Path, model: str, version: str) -> None:
    archive = make_archive(tmp_path, "2.0")
    with pytest.raises(ChangeRefused, match=f"holds tiny 2.0, and not {model} {version}"):
        desired_record(model, version, DesiredVersion(archive=str(archive)))


def test_what_is_no_archive_is_refused(path: Path) -> None:
    with pytest.raises(ArchiveError, match=r"models\.yaml is not an archive"):
        desired_record("tiny", "2.0", DesiredVersion(archive=str(path)))


def test_a_server_starts_with_verified_copies(path: Path, tmp_path: Path) -> None:
    archives = {"1.0": make_archive(path.parent / "old", "1.0"), "2.0": make_archive(path.parent, "2.0")}
    files = ServerFiles(tmp_path / "run")
    model = installed_state(DesiredState.read(path), files, None, print).models["tiny"]
    assert (model.default, model.previous) == ("2.0", ())
    assert {name: each.workers for name, each in model.versions.items()} == {"1.0": 0, "2.0": 1}
    for version, archive in archives.items():
        assert model.versions[version].digest == read_record(archive).digest
        assert (files.store / model.versions[version].archive).read_bytes() == archive.read_bytes()


def test_a_server_does_not_start_with_an_archive_that_is_refused(path: Path, tmp_path: Path) -> None:
    make_archive(path.parent / "old", "1.0")
    repack(make_archive(path.parent, "2.0"), put("text_generation.py", b"raise SystemExit\n"))
    files = ServerFiles(tmp_path / "run")
    with pytest.raises(VerificationError):
        installed_state(DesiredState.read(path), files, None, print)
    assert not (files.store / "tiny-2.0.mar").exists()
