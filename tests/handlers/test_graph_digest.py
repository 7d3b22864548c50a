"""One name for all that a compiled step fits, and another one for what it does not."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from transformers import LlamaConfig

from handlers import graph_digest as module
from handlers.graph_digest import graph_digest
from handlers.model_loading import LoadedModel
from handlers.settings import HandlerSettings
from handlers.worker_engine import load_packed_model
from tests.handlers.saved_models import SIZES, change_json, change_weights, save_model

SETTINGS = HandlerSettings(slots=4, prefix_slots=1)


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    return save_model(tmp_path / "model", LlamaConfig(**SIZES))


def digest(directory: Path, settings: HandlerSettings = SETTINGS) -> str:
    return graph_digest(load_packed_model(directory, settings), settings)


def test_other_weights_names_and_generation_settings_share_a_step(directory: Path) -> None:
    own = digest(directory)
    change_weights(directory, lambda weights: {name: 2 * tensor for name, tensor in weights.items()})
    change_json(directory / "config.json", _name_or_path="another", transformers_version="4.0.0", eos_token_id=5)

    assert digest(directory) == own


@pytest.mark.parametrize(
    "values",
    [{"rms_norm_eps": 1e-5}, {"hidden_act": "gelu"}, {"rope_parameters": {"rope_type": "default", "rope_theta": 5.0}}],
    ids=str,
)
def test_a_configuration_that_computes_something_else_has_a_step_of_its_own(
    directory: Path, values: dict[str, object]
) -> None:
    own = digest(directory)
    change_json(directory / "config.json", **values)

    assert digest(directory) != own


def test_tied_weights_are_another_graph(directory: Path, tmp_path: Path) -> None:
    tied = save_model(tmp_path / "tied", LlamaConfig(**SIZES, tie_word_embeddings=True))

    assert digest(tied) != digest(directory)


@pytest.mark.parametrize(
    "values",
    [{"slots": 5}, {"prefix_slots": 2}, {"context_length": 64}, {"dtype": "bfloat16"}, {"quantization": "int8"}],
    ids=str,
)
def test_settings_that_change_the_cache_or_the_types_have_a_step_of_their_own(
    directory: Path, values: dict[str, object]
) -> None:
    assert digest(directory, HandlerSettings(**{**SETTINGS.model_dump(), **values})) != digest(directory)


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(lambda patch: patch.setattr(torch, "__version__", "9.9"), id="torch"),
        pytest.param(lambda patch: patch.setattr(module.transformers, "__version__", "9.9"), id="transformers"),
        pytest.param(
            lambda patch: patch.setattr(torch.cpu, "get_capabilities", lambda: {"avx2": True}), id="processor"
        ),
        pytest.param(
            lambda patch: patch.setattr(torch.backends.cpu, "get_cpu_capability", lambda: "AVX2"), id="as told to be"
        ),
        pytest.param(lambda patch: patch.setattr(module, "_model_name", lambda _: "another"), id="model of processor"),
        pytest.param(lambda patch: patch.setenv("CXX", "clang++"), id="compiler"),
        pytest.param(lambda patch: patch.setenv("CXXFLAGS", "-O1"), id="its flags"),
    ],
)
def test_what_makes_and_runs_the_step_is_in_its_name(
    directory: Path, change: Callable[[pytest.MonkeyPatch], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    loaded = load_packed_model(directory, SETTINGS)
    own = graph_digest(loaded, SETTINGS)
    change(monkeypatch)

    assert graph_digest(loaded, SETTINGS) != own


@pytest.mark.parametrize(
    ("cpuinfo", "name"),
    [
        ("processor\t: 0\nmodel name\t: EPYC 9: x\nmodel name\t: b\n", "EPYC 9: x"),
        ("CPU part\t: 1\n", None),
        (None, None),
    ],
    ids=["x86", "ARM", "no Linux"],
)
def test_the_processors_model_is_read_where_the_system_says_it(
    tmp_path: Path, cpuinfo: str | None, name: str | None
) -> None:
    if cpuinfo is not None:
        (tmp_path / "cpuinfo").write_text(cpuinfo)

    assert module._model_name(tmp_path / "cpuinfo") == name


def test_newer_code_takes_no_older_step(directory: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    own = digest(directory)
    for name in module._CODE:
        (tmp_path / name).write_bytes(Path(module.__file__).with_name(name).read_bytes())
    monkeypatch.setattr(module, "__file__", str(tmp_path / "graph_digest.py"))
    module._digest_of_code.cache_clear()
    assert digest(directory) == own
    with (tmp_path / "packed_attention.py").open("a") as file:
        file.write("# newer\n")
    module._digest_of_code.cache_clear()

    assert digest(directory) != own
    module._digest_of_code.cache_clear()


def test_more_cores_take_the_same_step(directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    loaded: LoadedModel = load_packed_model(directory, SETTINGS)
    own = graph_digest(replace(loaded), SETTINGS)
    capabilities = dict(torch.cpu.get_capabilities()) | {"num_logical_cores": 64, "num_physical_cores": 64}
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: capabilities)

    assert graph_digest(loaded, SETTINGS) == own
