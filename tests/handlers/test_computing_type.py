"""`dtype: auto` is what the processor is fastest in, and the weights stay what they are."""

import logging
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import LlamaConfig, PreTrainedModel

from handlers import computing_type
from handlers.model_loading import load_model
from handlers.packed_linear import PackedLinear, packed_layers
from handlers.probe_check import compare_with
from handlers.probe_recording import record_probes
from handlers.settings import HandlerSettings
from tests.handlers.saved_models import SIZES, load, save_in, save_model

HALVES = (torch.bfloat16, torch.float16)


def saved_in(dtype: torch.dtype, directory: Path) -> Path:
    return save_in(dtype, directory, LlamaConfig(**SIZES, eos_token_id=5))


@pytest.fixture(params=HALVES, ids=str)
def stored(request: pytest.FixtureRequest) -> torch.dtype:
    dtype: torch.dtype = request.param
    return dtype


@pytest.fixture
def directory(stored: torch.dtype, tmp_path: Path) -> Path:
    return saved_in(stored, tmp_path)


@pytest.fixture
def processor(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Calls it with the 16-bit types that the processor is to have units for."""

    def has(*dtypes: torch.dtype) -> None:
        monkeypatch.setattr(computing_type, "has_units_for", lambda dtype: dtype in dtypes)

    return has


def weights(model: PreTrainedModel) -> list[torch.Tensor]:
    return list(model.parameters())


def test_without_units_for_their_type_the_same_weights_are_computed_in_float32(
    directory: Path, stored: torch.dtype, processor: Any, caplog: pytest.LogCaptureFixture
) -> None:
    processor(*HALVES)
    as_stored = load(directory)
    processor(*(dtype for dtype in HALVES if dtype is not stored))
    with caplog.at_level(logging.INFO, "handlers"):
        model = load(directory)

    assert {weight.dtype for weight in weights(as_stored)} == {stored}
    assert {weight.dtype for weight in weights(model)} == {torch.float32}
    for narrow, wide in zip(weights(as_stored), weights(model), strict=True):
        assert torch.equal(narrow.float(), wide)
    assert f"no units for {stored}" in caplog.text


def test_the_weights_that_one_row_reads_are_pages_of_the_models_file(
    directory: Path, stored: torch.dtype, processor: Any
) -> None:
    processor()
    linears = [each for each in load(directory).modules() if type(each) is torch.nn.Linear]
    layers = [layer for linear in linears for layer in packed_layers([linear])]

    for layer in layers:
        weight = layer.get_buffer(PackedLinear.weight_of_one_row)
        assert weight.dtype is stored
        assert mapped_file(weight.data_ptr()).parent == directory


def mapped_file(address: int) -> Path:
    for line in Path("/proc/self/maps").read_text(encoding="utf-8").splitlines():
        span, *_, file = line.split()
        begin, end = (int(bound, 16) for bound in span.split("-"))
        if begin <= address < end:
            return Path(file)
    raise AssertionError(address)


def test_a_type_that_was_asked_for_is_taken(directory: Path, stored: torch.dtype, processor: Any) -> None:
    processor()
    name: Any = str(stored).removeprefix("torch.")
    assert load_model(directory, HandlerSettings(dtype=name)).model.dtype is stored


@pytest.mark.parametrize(
    ("units", "asked", "taken"),
    [
        pytest.param([torch.bfloat16], "auto", torch.bfloat16, id="bfloat16 units"),
        pytest.param([], "auto", torch.float32, id="none"),
        pytest.param([], "bfloat16", torch.bfloat16, id="as asked for"),
        pytest.param([torch.bfloat16], "float32", torch.float32, id="float32 as asked for"),
    ],
)
def test_beside_int8_all_else_is_in_the_type_that_the_processor_is_fastest_in(
    units: list[torch.dtype], asked: Any, taken: torch.dtype, tmp_path: Path, processor: Any
) -> None:
    processor(*units)
    model = load_model(saved_in(torch.bfloat16, tmp_path), HandlerSettings(quantization="int8", dtype=asked)).model
    assert model.dtype is taken


def test_float32_stays_what_it_is(tmp_path: Path, processor: Any) -> None:
    processor(*HALVES)
    assert load(save_model(tmp_path, LlamaConfig(**SIZES, eos_token_id=5))).dtype is torch.float32


def test_what_was_recorded_at_pack_is_met_within_float32s_own_tolerance(directory: Path, processor: Any) -> None:
    processor()
    probes = record_probes(load_model(directory, HandlerSettings()))
    loaded = load_model(directory, HandlerSettings())

    compare_with(probes, loaded)

    assert loaded.model.dtype is torch.float32


FEATURES = dict.fromkeys(("avx512_bf16", "amx_bf16", "avx512_fp16", "amx_fp16"), False)


@pytest.mark.parametrize(
    ("features", "are_there"),
    [
        pytest.param({}, (False, False), id="AVX-512 alone, which oneDNN computes in float32"),
        pytest.param({"avx512_bf16": True}, (True, False), id="AVX-512 with bfloat16"),
        pytest.param({"amx_bf16": True, "amx_fp16": True}, (True, True), id="AMX"),
        pytest.param({"architecture": "aarch64"}, (True, True), id="ARM, where oneDNN's word is all there is"),
    ],
)
def test_units_are_what_the_processor_names(
    features: dict[str, Any], are_there: tuple[bool, bool], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"architecture": "x86_64"} | FEATURES | features)
    for name in ("bf16", "fp16"):
        monkeypatch.setattr(torch.ops.mkldnn, f"_is_mkldnn_{name}_supported", lambda: True)

    assert tuple(map(computing_type.has_units_for, HALVES)) == are_there
