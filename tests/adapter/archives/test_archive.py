"""An archive holds what the worker needs and nothing else, and the same input always gives the same bytes."""

import hashlib
import json
import os
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from importlib import metadata
from pathlib import Path

import pytest

from adapter.archives.archive import build_archive
from adapter.archives.archive_reader import ArchiveError, read_manifest, read_record
from tests.adapter.archives.model_files import FILES
from tests.adapter.archives.throwaway_archive import ANSWERS, write_archive
from tests.project import PROJECT


def build(model: Path, output: Path, name: str = "tiny", version: str = "1.0") -> Path:
    return build_archive(model, name, version, output)


def names_in(archive: Path) -> list[str]:
    with zipfile.ZipFile(archive) as mar:
        return mar.namelist()


def test_holds_the_handler_the_contract_the_configuration_and_the_model(model: Path, tmp_path: Path) -> None:
    handlers = {f"handlers/{path.name}" for path in (PROJECT / "handlers").glob("*.py")} - {
        "handlers/text_generation.py"
    }
    schema = {f"adapter/schema/{path.name}" for path in (PROJECT / "adapter" / "schema").glob("*.py")}
    names = names_in(build(model, tmp_path / "store"))

    assert names == sorted(
        {
            "MAR-INF/MANIFEST.json",
            "MAR-INF/RECORD.json",
            "MAR-INF/bom.cdx.json",
            "text_generation.py",
            "model-config.yaml",
            "adapter/__init__.py",
            "adapter/compilation.py",
            "adapter/engine_figures.py",
            "adapter/names.py",
            "adapter/output.py",
            "adapter/received.py",
            "adapter/sent.py",
            "adapter/stop_pipe.py",
            "adapter/strict_yaml.py",
            "adapter/tools.py",
            "adapter/event_stream.py",
            "adapter/handler_section.py",
            "adapter/probes.py",
            *schema,
            *handlers,
            *(f"model/{name}" for name in FILES),
        }
    )


def test_the_manifest_is_torchserves(model: Path, tmp_path: Path) -> None:
    archive = build(model, tmp_path / "store")
    with zipfile.ZipFile(archive) as mar:
        manifest = json.loads(mar.read("MAR-INF/MANIFEST.json"))

    assert archive.name == "tiny-1.0.mar"
    assert manifest == {
        "createdOn": "01/01/1980 00:00:00",
        "runtime": "python",
        "model": {
            "modelName": "tiny",
            "handler": "text_generation.py",
            "modelVersion": "1.0",
            "configFile": "model-config.yaml",
        },
        "archiverVersion": "0.12.0",
    }
    assert read_manifest(archive).model.version == "1.0"


def test_the_record_has_every_other_file_and_what_the_model_is(model: Path, tmp_path: Path) -> None:
    archive = build(model, tmp_path / "store")
    record = read_record(archive)
    with zipfile.ZipFile(archive) as mar:
        contents = {name: mar.read(name) for name in mar.namelist()}

    assert contents.pop("MAR-INF/RECORD.json") == record.to_bytes()
    assert {name: (file.size, file.sha256) for name, file in record.files.items()} == {
        name: (len(content), hashlib.sha256(content).hexdigest()) for name, content in contents.items()
    }
    assert (record.name, record.version) == ("tiny", "1.0")
    assert (record.model.architecture, record.model.parameters) == ("LlamaForCausalLM", {"F32": 6})
    assert record.versions.torch == metadata.version("torch")
    assert record.model.source is None


def test_a_model_from_the_hub_is_named_by_its_commit(model: Path, tmp_path: Path) -> None:
    source = "pkg:huggingface/org/tiny@043235d6088ecd3dd5fb5ca3592b6913fd516027"
    archive = build_archive(model, "tiny", "1.0", tmp_path / "store", source=source)
    assert read_record(archive).model.source == source


def test_what_torchbridge_did_not_pack_has_no_record(tmp_path: Path) -> None:
    with pytest.raises(ArchiveError, match="not an archive that torchbridge packed"):
        read_record(write_archive(tmp_path, "throwaway", ANSWERS))
    with pytest.raises(ArchiveError, match="No such file"):
        read_record(tmp_path / "absent.mar")


def test_progress_is_told_of_every_byte_read_and_written(model: Path, tmp_path: Path) -> None:
    told: dict[str, list[int]] = {}
    totals = {}

    def report(what: str, total: int) -> AbstractContextManager[Callable[[int], object]]:
        totals[what] = total
        return nullcontext(told.setdefault(what, []).append)

    build_archive(model, "tiny", "1.0", tmp_path / "store", progress=report)
    assert sum(told["reading"]) == totals["reading"]
    assert sum(told["writing"]) == totals["writing"]


@pytest.mark.skipif(not shutil.which("unzip"), reason="there is no unzip on this machine")
def test_unzip_reads_it(model: Path, tmp_path: Path) -> None:
    archive = build(model, tmp_path / "store")
    subprocess.run(["unzip", "-q", archive, "-d", tmp_path / "unpacked"], check=True)
    for name, file in read_record(archive).files.items():
        assert hashlib.sha256((tmp_path / "unpacked" / name).read_bytes()).hexdigest() == file.sha256


def test_an_archive_that_holds_just_this_is_left_alone(model: Path, tmp_path: Path) -> None:
    before = build(model, tmp_path / "store").stat()
    after = build(model, tmp_path / "store").stat()

    assert (after.st_ino, after.st_mtime_ns) == (before.st_ino, before.st_mtime_ns)


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(lambda model, _: (model / "tokenizer.json").write_text('{"a": 1}'), id="another input"),
        pytest.param(lambda _, archive: archive.write_bytes(archive.read_bytes()[:-100]), id="a cut archive"),
        pytest.param(lambda _, archive: archive.write_bytes(b""), id="an empty archive"),
    ],
)
def test_an_archive_that_differs_is_written_anew(
    model: Path, tmp_path: Path, change: Callable[[Path, Path], object]
) -> None:
    archive = build(model, tmp_path / "store")
    change(model, archive)
    build(model, tmp_path / "store")

    with zipfile.ZipFile(archive) as mar:
        assert mar.testzip() is None
        assert mar.read("model/tokenizer.json") == (model / "tokenizer.json").read_bytes()


@pytest.mark.parametrize("bad", ["", "token", "../x", "a b", "a/b", "a\n", "ä"])
def test_refuses_a_name_or_version_that_cannot_be_a_url_segment(model: Path, tmp_path: Path, bad: str) -> None:
    with pytest.raises(ArchiveError, match="cannot be a name"):
        build(model, tmp_path / "store", name=bad)
    with pytest.raises(ArchiveError, match="cannot be a version"):
        build(model, tmp_path / "store", version=bad)


def test_refuses_what_would_be_too_long_a_name_of_a_file(model: Path, tmp_path: Path) -> None:
    assert build(model, tmp_path / "store", name="a" * 128, version="1" * 52).exists()
    with pytest.raises(ArchiveError, match="at most 180 characters together"):
        build(model, tmp_path / "store", name="a" * 128, version="1" * 53)


def test_refuses_to_replace_another_model_of_the_same_file_name(model: Path, tmp_path: Path) -> None:
    build(model, tmp_path / "store", name="a-1", version="2")
    with pytest.raises(ArchiveError, match="holds 'a-1'"):
        build(model, tmp_path / "store", name="a", version="1-2")


def test_the_packed_handler_imports_from_the_archive_alone(model: Path, tmp_path: Path) -> None:
    with zipfile.ZipFile(build(model, tmp_path / "store")) as mar:
        mar.extractall(tmp_path / "unpacked")
    # TorchServe hides an import that fails behind one of its own (ts/model_loader.py, load), so it is tried without it.
    program = "import text_generation, sys; print(*(m.__file__ for n, m in sys.modules.items() if n.split('.')[0] in "
    program += "('adapter', 'handlers', 'text_generation')), sep='\\n')"
    packages = os.pathsep.join(path for path in sys.path if "site-packages" in path)
    # -I -S leaves out the checkout, which the editable install puts on the path.
    start = f"import sys; sys.path[:0] = [{str(tmp_path / 'unpacked')!r}, *{packages.split(os.pathsep)!r}]; {program}"
    result = subprocess.run(
        [sys.executable, "-I", "-S", "-c", start], cwd=tmp_path, capture_output=True, text=True, check=False
    )

    assert result.stderr == ""
    assert {Path(line).is_relative_to(tmp_path / "unpacked") for line in result.stdout.splitlines()} == {True}
