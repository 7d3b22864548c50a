"""An archive holds what the worker needs and nothing else, and the same input always gives the same bytes."""

import json
import os
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from adapter.archives.archive import DEFAULT_MODEL_CONFIG, PROJECT, ArchiveError, build_archive, read_manifest
from adapter.archives.model_config import ModelConfigError
from adapter.archives.model_source import ModelSourceError

FILES = ["config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json"]


@pytest.fixture
def model(tmp_path: Path) -> Path:
    directory = tmp_path / "model"
    directory.mkdir()
    return write_model(directory, FILES)


def write_model(directory: Path, names: list[str]) -> Path:
    for name in names:
        if name.endswith(".safetensors"):
            save_file({"weight": np.arange(6, dtype=np.float32)}, directory / name)
        else:
            (directory / name).write_text("{}")
    return directory


def build(model: Path, output: Path, name: str = "tiny", version: str = "1.0") -> Path:
    return build_archive(model, name, version, output)


def names_in(archive: Path) -> list[str]:
    with zipfile.ZipFile(archive) as mar:
        return mar.namelist()


def test_holds_the_handler_the_contract_the_configuration_and_the_model(model: Path, tmp_path: Path) -> None:
    handlers = {f"handlers/{path.name}" for path in (PROJECT / "handlers").glob("*.py")} - {
        "handlers/text_generation.py"
    }
    names = names_in(build(model, tmp_path / "store"))

    assert names[0] == "MAR-INF/MANIFEST.json"
    assert names[1:] == sorted(
        {
            "text_generation.py",
            "model-config.yaml",
            "adapter/__init__.py",
            "adapter/schema.py",
            "adapter/event_stream.py",
            *handlers,
            *(f"model/{name}" for name in FILES),
        }
    )


def test_the_manifest_is_torchserves_with_a_digest_per_file(model: Path, tmp_path: Path) -> None:
    archive = build(model, tmp_path / "store")
    with zipfile.ZipFile(archive) as mar:
        manifest = json.loads(mar.read("MAR-INF/MANIFEST.json"))
    files = manifest.pop("files")

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
    assert list(files) == names_in(archive)[1:]
    assert read_manifest(archive).model.version == "1.0"


def test_the_bytes_do_not_depend_on_times_rights_order_or_place(model: Path, tmp_path: Path) -> None:
    first = build(model, tmp_path / "first").read_bytes()
    (tmp_path / "elsewhere").mkdir()
    copy = write_model(tmp_path / "elsewhere", FILES[::-1])
    for path in copy.iterdir():
        os.utime(path, (1, 1))
        path.chmod(0o600)
    umask = os.umask(0o077)
    try:
        second = build(copy, tmp_path / "second")
    finally:
        os.umask(umask)

    assert second.read_bytes() == first
    assert second.stat().st_mode & 0o777 == 0o644


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


def test_everything_is_stored_and_readable_by_all(model: Path, tmp_path: Path) -> None:
    with zipfile.ZipFile(build(model, tmp_path / "store")) as mar:
        entries = mar.infolist()

    assert {entry.compress_type for entry in entries} == {zipfile.ZIP_STORED}
    assert {entry.external_attr >> 16 for entry in entries} == {0o100644}
    assert {entry.date_time for entry in entries} == {(1980, 1, 1, 0, 0, 0)}
    # Java's ZipInputStream refuses a stored entry whose sizes come after it (ZipUtils.java, unzip).
    assert {entry.flag_bits & 0x08 for entry in entries} == {0}


def test_other_files_stay_out(model: Path, tmp_path: Path) -> None:
    write_model(model, ["README.md", "pytorch_model.bin", "modeling_tiny.py", "consolidated.safetensors", ".gitignore"])
    (model / "nested").mkdir()
    names = [name for name in names_in(build(model, tmp_path / "store")) if name.startswith("model/")]

    assert names == [f"model/{name}" for name in FILES]


def test_takes_the_shards_that_the_index_names(tmp_path: Path) -> None:
    shards = ["model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"]
    write_model(tmp_path, ["config.json", "vocab.json", "merges.txt", *shards])
    index = tmp_path / "model.safetensors.index.json"
    index.write_text(json.dumps({"weight_map": {"a": shards[0], "b": shards[1]}}))
    names = names_in(build(tmp_path, tmp_path / "store"))
    assert [f"model/{name}" for name in (*shards, index.name)] == [name for name in names if "safetensors" in name]

    (tmp_path / shards[1]).unlink()
    with pytest.raises(ModelSourceError, match="lacks model-00002"):
        build(tmp_path, tmp_path / "other")


def _remove(name: str) -> Callable[[Path], object]:
    return lambda model: (model / name).unlink()


def _write(name: str, content: str) -> Callable[[Path], object]:
    return lambda model: (model / name).write_text(content)


def _only_pickles(model: Path) -> None:
    (model / "model.safetensors").rename(model / "pytorch_model.bin")


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        pytest.param(_only_pickles, "pytorch_model.bin could run code", id="pickles only"),
        pytest.param(_remove("model.safetensors"), "no model.safetensors", id="no weights"),
        pytest.param(_remove("config.json"), "has no config.json", id="no configuration"),
        pytest.param(_remove("tokenizer.json"), "no tokenizer", id="no tokenizer"),
        pytest.param(_write("config.json", '{"auto_map": {}}'), "code of its own", id="own model code"),
        pytest.param(_write("tokenizer_config.json", '{"auto_map": {}}'), "code of its own", id="own tokenizer code"),
        pytest.param(_write("config.json", "{"), "not JSON", id="broken configuration"),
        pytest.param(_write("model.safetensors", "version https://git-lfs"), "git lfs pull", id="LFS pointer"),
        pytest.param(shutil.rmtree, "not a directory", id="no directory"),
    ],
)
def test_refuses_a_model_that_it_could_not_serve(
    model: Path, tmp_path: Path, spoil: Callable[[Path], object], reason: str
) -> None:
    spoil(model)
    with pytest.raises(ModelSourceError, match=reason):
        build(model, tmp_path / "store")

    assert not (tmp_path / "store").exists()


@pytest.mark.parametrize("bad", ["", "token", "../x", "a b", "a/b", "a\n", "ä"])
def test_refuses_a_name_or_version_that_cannot_be_a_url_segment(model: Path, tmp_path: Path, bad: str) -> None:
    with pytest.raises(ArchiveError, match="cannot be a name"):
        build(model, tmp_path / "store", name=bad)
    with pytest.raises(ArchiveError, match="cannot be a version"):
        build(model, tmp_path / "store", version=bad)


def test_refuses_to_replace_another_model_of_the_same_file_name(model: Path, tmp_path: Path) -> None:
    build(model, tmp_path / "store", name="a-1", version="2")
    with pytest.raises(ArchiveError, match="holds 'a-1'"):
        build(model, tmp_path / "store", name="a", version="1-2")


@pytest.mark.parametrize(
    "content",
    [
        "minWorkers: [",
        "minWorker: 1",
        "- 1",
        DEFAULT_MODEL_CONFIG.read_text().replace("minWorkers: 1", "minWorkers: 2"),
    ],
    ids=["not YAML", "an unknown key", "no mapping", "more workers at least than at most"],
)
def test_refuses_a_configuration_that_torchserve_would_silently_drop(model: Path, tmp_path: Path, content: str) -> None:
    config = tmp_path / "model-config.yaml"
    config.write_text(content)
    with pytest.raises(ModelConfigError, match=r"model-config\.yaml"):
        build_archive(model, "tiny", "1.0", tmp_path / "store", config)


def test_nothing_half_written_is_left(model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    archive = build(model, tmp_path / "store")
    before = archive.read_bytes()
    (model / "tokenizer.json").write_text('{"a": 1}')

    def fail(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(OSError, match="No space left"):
        build(model, tmp_path / "store")

    assert list((tmp_path / "store").iterdir()) == [archive]
    assert archive.read_bytes() == before


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
