"""The check runs the handler's real code: in its real process, where it matters which one that is."""

import json
import re
import shutil
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from adapter.archives import model_check
from adapter.archives.archive import DEFAULT_MODEL_CONFIG, build_archive
from adapter.archives.handler_process import HandlerOutput, run_handler
from adapter.archives.model_check import check_model
from adapter.archives.model_source import ModelSourceError
from tests.adapter.archives.model_files import add_tensor, rename_tensor
from tests.handler_here import run_handlers_here
from tests.project import PROJECT

TINY = PROJECT / "models" / "tiny"

# The kernels of a processor without AVX add up in another order.
OLD_PROCESSOR = {
    "ATEN_CPU_CAPABILITY": "default",
    "MKL_ENABLE_INSTRUCTIONS": "SSE4_2",
    "ONEDNN_MAX_CPU_ISA": "SSE41",
}


@pytest.fixture
def two_threads() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(threads)


@pytest.mark.usefixtures("two_threads")
def test_model_that_can_be_served_is_recorded_alike_everywhere(monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        run_handlers_here(patch)
        here = check_model(TINY, DEFAULT_MODEL_CONFIG)
    for name, value in {**OLD_PROCESSOR, "OMP_NUM_THREADS": "1"}.items():
        monkeypatch.setenv(name, value)

    assert check_model(TINY, DEFAULT_MODEL_CONFIG).to_bytes() == here.to_bytes()


@pytest.fixture
def runs_here(monkeypatch: pytest.MonkeyPatch) -> None:
    run_handlers_here(monkeypatch)


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """A copy that a test may change."""
    return Path(shutil.copytree(TINY, tmp_path / "model"))


def test_model_that_cannot_be_served_is_not_packed(model: Path, tmp_path: Path) -> None:
    config = json.loads((model / "config.json").read_text())
    (model / "config.json").write_text(json.dumps(config | {"model_type": "unheard-of"}))

    with pytest.raises(ModelSourceError, match=r"cannot be served: .*unheard-of"):
        build_archive(model, "a", "1.0", tmp_path / "store", check=check_model)

    assert not (tmp_path / "store").exists()


@pytest.mark.usefixtures("runs_here")
def test_what_the_checkpoint_lacks_is_named_where_it_is_packed(model: Path, tmp_path: Path) -> None:
    rename_tensor(model / "model.safetensors", "model.norm.weight", "model.lost.weight")

    with pytest.raises(ModelSourceError, match=r"lacks tensors of LlamaForCausalLM: model\.norm\.weight"):
        build_archive(model, "a", "1.0", tmp_path / "store", check=check_model)

    assert not (tmp_path / "store").exists()


@pytest.mark.usefixtures("runs_here")
def test_what_does_not_keep_a_model_from_being_served_is_a_warning(model: Path) -> None:
    add_tensor(model / "model.safetensors", "model.layers.99.weight")
    warnings: list[str] = []

    check_model(model, DEFAULT_MODEL_CONFIG, warnings.append)

    assert warnings == ["The checkpoint has tensors that LlamaForCausalLM does not use: model.layers.99.weight"]


def stray_template(model: Path) -> None:
    templates = model / "additional_chat_templates"
    templates.mkdir()
    (templates / "default.jinja").write_text("{{ raise_exception('never packed') }}")
    (model / "chat_template.jinja").unlink(missing_ok=True)


def adapter_of_a_model_that_is_not_here(model: Path) -> None:
    (model / "adapter_config.json").write_text('{"base_model_name_or_path": "org/base", "peft_type": "LORA"}')


def weights_of_another_model(model: Path) -> None:
    (model / "consolidated.safetensors").write_bytes(b"no weights")


@pytest.mark.usefixtures("runs_here")
def test_what_is_checked_is_what_is_packed(model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    checked: list[dict[str, bytes]] = []

    def noting(module: str, directory: str, config: str) -> HandlerOutput:
        checked.append({path.name: path.read_bytes() for path in Path(directory).iterdir()})
        return run_handler(module, directory, config)

    monkeypatch.setattr(model_check, "run_handler", noting)
    for add in (stray_template, adapter_of_a_model_that_is_not_here, weights_of_another_model):
        add(model)

    with zipfile.ZipFile(build_archive(model, "a", "1.0", tmp_path / "store", check=check_model)) as archive:
        packed = {
            name.removeprefix("model/"): archive.read(name) for name in archive.namelist() if name.startswith("model/")
        }
    assert checked == [packed]


@pytest.mark.usefixtures("runs_here")
def test_a_reason_names_the_directory_of_the_model_and_not_that_of_the_check(model: Path) -> None:
    (model / "config.json").write_text("{}")
    with pytest.raises(ModelSourceError, match=f"Unrecognized model in {re.escape(str(model))}"):
        check_model(model, DEFAULT_MODEL_CONFIG)
