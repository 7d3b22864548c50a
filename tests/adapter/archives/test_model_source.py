"""Which files of a model are served, and which models are not."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from adapter.archives.model_source import ModelSourceError, fetch_model, package_url, served_files
from tests.adapter.archives.model_files import FILES, write_weights

LFS = "version https://git-lfs.github.com/spec/v1"
COMMIT = "043235d6088ecd3dd5fb5ca3592b6913fd516027"


def test_other_files_stay_out(model: Path) -> None:
    for name in ("README.md", "pytorch_model.bin", "modeling_tiny.py", "consolidated.safetensors", ".gitignore"):
        (model / name).touch()
    (model / "nested").mkdir()
    assert [path.name for path in served_files(model)] == list(FILES)


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("is_relative", [True, False], ids=["relative", "absolute"])
def test_a_link_out_of_the_directory_is_refused(model: Path, tmp_path: Path, name: str, *, is_relative: bool) -> None:
    secret = (model / name).rename(tmp_path / "secret")
    (model / name).symlink_to("../secret" if is_relative else secret)
    assert (model / name).is_file()  # it would be packed
    with pytest.raises(ModelSourceError, match=rf"{name} is a link to {secret}, outside of the model's directory"):
        served_files(model)


def test_links_that_lead_out_in_two_steps_are_refused(model: Path, tmp_path: Path) -> None:
    secret = (model / "tokenizer.json").rename(tmp_path / "secret")
    (model / "beside").symlink_to(secret)
    (model / "tokenizer.json").symlink_to("beside")
    with pytest.raises(ModelSourceError, match="outside of the model's directory"):
        served_files(model)


def test_a_link_to_a_file_beside_it_is_taken(model: Path) -> None:
    (model / "weights.safetensors").hardlink_to(model / "model.safetensors")
    (model / "model.safetensors").unlink()
    (model / "model.safetensors").symlink_to("weights.safetensors")
    assert [path.name for path in served_files(model)] == list(FILES)


def in_hub_cache(model: Path, cache: Path) -> Path:
    """The model's files as huggingface_hub keeps them: a snapshot of links to blobs."""
    snapshot, blobs = cache / "snapshots" / COMMIT, cache / "blobs"
    snapshot.mkdir(parents=True)
    blobs.mkdir()
    for name in FILES:
        (model / name).rename(blobs / f"hash-of-{name}")
        (snapshot / name).symlink_to(f"../../blobs/hash-of-{name}")
    return snapshot


def test_a_snapshot_of_the_hubs_cache_is_taken(model: Path, tmp_path: Path) -> None:
    snapshot = in_hub_cache(model, tmp_path / "models--org--tiny")
    assert [path.name for path in served_files(snapshot)] == list(FILES)
    (tmp_path / "linked").symlink_to(snapshot)
    assert [path.name for path in served_files(tmp_path / "linked")] == list(FILES)


def test_a_snapshot_whose_blobs_lie_elsewhere_is_refused(model: Path, tmp_path: Path) -> None:
    snapshot = in_hub_cache(model, tmp_path / "models--org--tiny")
    blobs = snapshot.parent.parent / "blobs"
    blobs.rename(tmp_path / "secrets")
    blobs.symlink_to(tmp_path / "secrets")
    assert (snapshot / "config.json").is_file()
    with pytest.raises(ModelSourceError, match="outside of the model's directory"):
        served_files(snapshot)


def test_takes_the_shards_that_the_index_names(model: Path) -> None:
    (model / "model.safetensors").unlink()
    shards = ["model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"]
    for shard in (*shards, "model-00003-of-00003.safetensors"):
        write_weights(model / shard)
    index = model / "model.safetensors.index.json"
    index.write_text(json.dumps({"weight_map": {"a": shards[0], "b": shards[1]}}))
    assert [path.name for path in served_files(model) if "safetensors" in path.name] == [*shards, index.name]

    (model / shards[1]).unlink()
    with pytest.raises(ModelSourceError, match="lacks model-00002"):
        served_files(model)


def test_an_index_whose_shards_are_gone_stays_out(model: Path) -> None:
    (model / "model.safetensors.index.json").write_text('{"weight_map": {"a": "model-00001-of-00001.safetensors"}}')
    assert [path.name for path in served_files(model)] == list(FILES)


def test_what_an_adapter_was_merged_into_is_a_model(model: Path) -> None:
    (model / "adapter_config.json").write_text("{}")
    assert [path.name for path in served_files(model)] == list(FILES)


def test_a_model_of_the_hub_is_named_by_its_commit_and_a_directory_is_not(
    model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    snapshot = model.rename(tmp_path / COMMIT)
    monkeypatch.setattr("huggingface_hub.snapshot_download", lambda *_, **__: str(snapshot))

    assert package_url("org/tiny", fetch_model("org/tiny")) == f"pkg:huggingface/org/tiny@{COMMIT}"
    assert package_url(str(snapshot), fetch_model(str(snapshot))) is None


def _remove(name: str) -> Callable[[Path], object]:
    return lambda model: (model / name).unlink()


def _write(name: str, content: str) -> Callable[[Path], object]:
    return lambda model: (model / name).write_text(content)


def _only_pickles(model: Path) -> None:
    (model / "model.safetensors").rename(model / "pytorch_model.bin")


def _tokenizer_in(name: str) -> Callable[[Path], object]:
    return lambda model: (model / "tokenizer.json").rename(model / name)


def _adapter_with_configuration(model: Path) -> None:
    (model / "model.safetensors").rename(model / "adapter_model.safetensors")
    (model / "adapter_config.json").write_text('{"base_model_name_or_path": "org/base", "peft_type": "LORA"}')


def _adapter(model: Path) -> None:
    _adapter_with_configuration(model)
    (model / "config.json").unlink()


def _earlier_model_beside_shards(model: Path) -> None:
    shard = "model-00001-of-00001.safetensors"
    write_weights(model / shard)
    (model / "model.safetensors.index.json").write_text(json.dumps({"weight_map": {"a": shard}}))


def _write_latin_1(name: str) -> Callable[[Path], object]:
    return lambda model: (model / name).write_text("é", encoding="latin-1")


def _shards_without_names(model: Path) -> None:
    (model / "model.safetensors").rename(model / "model-00001-of-00001.safetensors")
    weight_map = {"a": "model-00001-of-00001.safetensors", "b": None}
    (model / "model.safetensors.index.json").write_text(json.dumps({"weight_map": weight_map}))


def _lose_target(name: str) -> Callable[[Path], object]:
    def spoil(model: Path) -> None:
        (model / name).unlink()
        (model / name).symlink_to("gone")

    return spoil


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        pytest.param(_only_pickles, "pytorch_model.bin could run code", id="pickles only"),
        pytest.param(_remove("model.safetensors"), "no model.safetensors", id="no weights"),
        pytest.param(_remove("config.json"), "has no config.json", id="no configuration"),
        pytest.param(_remove("tokenizer.json"), r"has no tokenizer\.json.*save_pretrained", id="no tokenizer"),
        pytest.param(_tokenizer_in("tokenizer.model"), r"has no tokenizer\.json.*save_pretrained", id="SentencePiece"),
        pytest.param(_adapter, r"is an adapter.*merge_and_unload\(\)\.save_pretrained", id="an adapter"),
        pytest.param(
            _adapter_with_configuration,
            r"is an adapter.*merge_and_unload",
            id="an adapter with its model's config.json",
        ),
        pytest.param(
            _earlier_model_beside_shards,
            r"holds two models, model\.safetensors and the shards that",
            id="two models",
        ),
        pytest.param(_write("config.json", '{"auto_map": {}}'), "code of its own", id="own model code"),
        pytest.param(_write("tokenizer_config.json", '{"auto_map": {}}'), "code of its own", id="own tokenizer code"),
        pytest.param(_write("config.json", "{"), "not JSON", id="broken configuration"),
        pytest.param(_write("model.safetensors", LFS), "git lfs pull", id="LFS pointer"),
        pytest.param(
            _write("tokenizer.json", f"{LFS}\noid sha256:0\n"), r"tokenizer\.json.*git lfs pull", id="LFS tokenizer"
        ),
        pytest.param(_write("tokenizer.json", '{"model": '), r"tokenizer\.json is not JSON", id="half a tokenizer"),
        pytest.param(_write_latin_1("chat_template.jinja"), r"chat_template\.jinja is not text in UTF-8", id="Latin 1"),
        pytest.param(_write("model.safetensors", ""), r"not a safetensors file \(.*\)\.\Z", id="empty weights"),
        pytest.param(_shards_without_names, r"names no file for b", id="an index without a file's name"),
        pytest.param(_lose_target("model.safetensors"), "a link to gone, which is not there", id="a broken link"),
        pytest.param(_write("a b.model", ""), "not every system", id="a name with a space"),
        pytest.param(_write("ä.model", ""), "not every system", id="a name that is not ASCII"),
        pytest.param(shutil.rmtree, "not a directory", id="no directory"),
    ],
)
def test_refuses_a_model_that_it_could_not_serve(model: Path, spoil: Callable[[Path], object], reason: str) -> None:
    spoil(model)
    with pytest.raises(ModelSourceError, match=reason):
        served_files(model)
