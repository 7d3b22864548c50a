"""A worker does not serve a model that computes something else than it did where it was packed."""

import shutil
from collections.abc import Callable
from copy import deepcopy
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import pytest
import torch
from transformers import PreTrainedModel

from adapter.probes import PROBES_ENTRY, Probe, Probes
from handlers.model_loading import LoadedModel, load_model
from handlers.probe_check import ProbeCheckError, check_probes
from handlers.probe_recording import record_probes
from handlers.settings import HandlerSettings
from handlers.worker_engine import load_packed_model
from tests.handlers.character_tokenizer import character_tokenizer
from tests.handlers.conftest import CONTEXT_LENGTH
from tests.handlers.fake_frontend import FakeFrontend, write_record

TINY = Path(__file__).parents[2] / "models" / "tiny"

Dtype = Literal["float32", "float16", "bfloat16"]
DTYPES: list[Dtype] = ["float32", "float16", "bfloat16"]


@pytest.fixture(scope="module")
def recorded() -> Probes:
    return record_probes(load_model(TINY, HandlerSettings()))


def write(directory: Path, probes: Probes) -> None:
    file = directory / PROBES_ENTRY
    file.parent.mkdir(exist_ok=True)
    file.write_bytes(probes.to_bytes())


def tiny(dtype: Dtype = "float32") -> LoadedModel:
    return load_model(TINY, HandlerSettings(dtype=dtype))


@pytest.mark.parametrize("dtype", DTYPES)
def test_the_model_passes_in_every_type_that_it_may_be_served_in(
    tmp_path: Path, recorded: Probes, dtype: Dtype
) -> None:
    write(tmp_path, recorded)
    check_probes(tmp_path, tiny(dtype))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16], ids=str)
def test_so_do_random_weights_of_every_family(tmp_path: Path, any_model: PreTrainedModel, dtype: torch.dtype) -> None:
    loaded = LoadedModel(any_model, character_tokenizer(), frozenset(), CONTEXT_LENGTH)
    write(tmp_path, record_probes(loaded))
    check_probes(tmp_path, replace(loaded, model=deepcopy(any_model).to(dtype)))  # other tests use the model as it is


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_weights_of_8_bits_pass_beside_either_type(tmp_path: Path, recorded: Probes, dtype: Any) -> None:
    """They are not float32's own answers where float32 is beside them."""
    write(tmp_path, recorded)
    loaded = load_packed_model(TINY, HandlerSettings(quantization="int8", dtype=dtype))
    check_probes(tmp_path, loaded)
    lose_most(loaded.model)

    with pytest.raises(ProbeCheckError, match=r"is torch\.int8's own error"):
        check_probes(tmp_path, loaded)


def lose_most(model: PreTrainedModel) -> None:
    model.model.norm.weight.detach().mul_(0.1)


def test_texts_that_were_recorded_by_an_older_handler_are_not_held_against_the_model(
    tmp_path: Path, recorded: Probes
) -> None:
    # It lost the first space of some answers. The tokens are what counts: `torchbridge probe` compares an archive's
    # texts with what the archive's own handler says.
    older = [probe.model_copy(update={"answer": probe.answer.lstrip()}) for probe in recorded.probes]
    assert tuple(older) != recorded.probes
    write(tmp_path, Probes(probes=tuple(older)))

    check_probes(tmp_path, tiny())


def test_an_archive_without_probes_has_nothing_to_check(tmp_path: Path) -> None:
    loaded = tiny()
    loaded.model.forward = lambda *_, **__: pytest.fail("it was asked")
    check_probes(tmp_path, loaded)


def lose_a_head(model: PreTrainedModel) -> None:
    model.model.layers[0].self_attn.o_proj.weight[:, : model.config.head_dim] = 0


def swap_two_layers(model: PreTrainedModel) -> None:
    model.model.layers[1], model.model.layers[2] = model.model.layers[2], model.model.layers[1]


def spoil_with_nan(model: PreTrainedModel) -> None:
    model.model.norm.weight[0] = float("nan")


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("spoil", [lose_a_head, swap_two_layers, spoil_with_nan])
def test_other_weights_are_refused(
    tmp_path: Path, recorded: Probes, spoil: Callable[[PreTrainedModel], object], dtype: Dtype
) -> None:
    write(tmp_path, recorded)
    loaded = tiny(dtype)
    with torch.no_grad():
        spoil(loaded.model)

    with pytest.raises(ProbeCheckError, match=r"the log-probabilities of '.*' and its answer differ by"):
        check_probes(tmp_path, loaded)


def change(probes: Probes, number: int, edit: Callable[[Probe], dict[str, Any]]) -> Probes:
    changed = list(probes.probes)
    changed[number] = changed[number].model_copy(update=edit(changed[number]))
    return Probes(probes=tuple(changed))


def test_one_number_that_was_doctored_is_refused(tmp_path: Path, recorded: Probes) -> None:
    def edit(probe: Probe) -> dict[str, Any]:
        *numbers, last = probe.log_probabilities
        return {"log_probabilities": (*numbers, last - 2)}

    write(tmp_path, change(recorded, 3, edit))

    with pytest.raises(ProbeCheckError, match=r"the log-probabilities of '1, 2, 3, 4, 5, 6,' .* differ by 0\.[12]"):
        check_probes(tmp_path, tiny())


def test_a_tokenizer_that_cuts_the_prompt_otherwise_is_refused(tmp_path: Path, recorded: Probes) -> None:
    def edit(probe: Probe) -> dict[str, Any]:
        first, second, *others = probe.prompt_tokens
        return {"prompt_tokens": (second, first, *others)}

    write(tmp_path, change(recorded, 1, edit))

    with pytest.raises(ProbeCheckError, match=r"the tokens of 'The quick brown fox jumps over the lazy' are not those"):
        check_probes(tmp_path, tiny())


def test_the_handler_says_so_in_one_line_and_does_not_serve(
    tmp_path: Path, recorded: Probes, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(TINY, tmp_path / "model")

    def write_record_and_probes(directory: Path) -> None:
        write_record(directory)
        write(directory, change(recorded, 0, lambda probe: {"log_probabilities": (0,) * len(probe.log_probabilities)}))

    monkeypatch.setattr("tests.handlers.fake_frontend.write_record", write_record_and_probes)

    with pytest.raises(ProbeCheckError):
        FakeFrontend(tmp_path)

    (line,) = [record.message for record in caplog.records if record.levelname == "ERROR"]
    assert line.startswith("torchbridge: cannot load the model: the log-probabilities of 'Once upon a time' and its")
