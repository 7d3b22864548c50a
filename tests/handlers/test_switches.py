"""Each optimisation can be switched off, as docs/performance.md says, and changes no greedy answer in float32."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from torch import nn

from adapter.settings import Settings
from handlers.compile_model import compile_model
from handlers.forward_pass import PackedForwardPass, PassesAlone
from handlers.sampling import SamplingParameters
from handlers.settings import HandlerSettings
from handlers.slot_cache import UnsupportedModelError
from handlers.worker_engine import checked_engine, load_packed_model, worker_engine
from tests.handlers.engine_answers import add, run
from tests.handlers.fake_frontend import write_record
from tests.project import PROJECT

TINY = PROJECT / "models" / "tiny"
CONFIGURATION: dict[str, Any] = {"batchSize": 3, "handler": {"dtype": "float32", "context_length": 128}}
GREEDY = SamplingParameters()
BEGINNING = list(range(300, 340))
# Some begin alike, one is longer than a piece, and there are more than slots.
PROMPTS = [BEGINNING, [*BEGINNING, 7], [11], list(range(400, 460)), BEGINNING[:9], [*BEGINNING, 7, 8]]


def switches() -> Iterator[str]:
    page = (PROJECT / "docs" / "performance.md").read_text()
    table = page.partition("## Switch an optimisation off")[2].partition("\n## ")[0]
    for row in re.findall(r"^\| .*\|$", table, re.MULTILINE)[1:]:
        yield from re.findall(r"`([^`]+)` \|$", row)


SWITCHES = list(switches())
OF_THE_MODEL = [switch for switch in SWITCHES if ": " in switch]
OF_THE_SERVER = [switch for switch in SWITCHES if "=" in switch]


def switched(switch: str) -> HandlerSettings:
    """As a worker reads it from model-config.yaml."""
    said: dict[str, Any] = yaml.safe_load(switch)
    if "batchSize" in said:
        return HandlerSettings.from_model_config(CONFIGURATION | said)
    return HandlerSettings.from_model_config(CONFIGURATION | {"handler": CONFIGURATION["handler"] | said})


def answers(settings: HandlerSettings) -> dict[str, list[int]]:
    """To requests of which each comes a step later than the one before."""
    loaded = load_packed_model(TINY, settings)
    engine = worker_engine(loaded, settings, None)
    given: dict[str, list[int]] = {}
    for number, prompt in enumerate(PROMPTS):
        engine.submit(str(number), prompt, 24, GREEDY)
        add(given, engine.step())
    for request_id, tokens in run(engine).items():
        given.setdefault(request_id, []).extend(tokens)
    return given


@pytest.fixture(scope="module")
def usual() -> dict[str, list[int]]:
    return answers(HandlerSettings.from_model_config(CONFIGURATION))


def test_every_row_of_the_table_has_a_switch_that_is_known() -> None:
    assert sorted(OF_THE_MODEL + OF_THE_SERVER) == sorted(SWITCHES)
    assert len(OF_THE_MODEL) == 8
    for switch in OF_THE_SERVER:
        name, _, value = switch.removeprefix("TORCHBRIDGE_").partition("=")
        assert not getattr(Settings(**{name.lower(): value}), name.lower())


@pytest.mark.parametrize("switch", OF_THE_MODEL)
def test_what_is_switched_off_changes_no_greedy_answer(switch: str, usual: dict[str, list[int]]) -> None:
    assert answers(switched(switch)) == usual


def test_a_plain_model_is_as_transformers_has_it_and_keeps_nothing() -> None:
    plain, usual = switched("plain: true"), switched("plain: false")
    kinds, forward_passes, rows = [], [], []
    for settings in (plain, usual):
        loaded = load_packed_model(TINY, settings)
        engine = checked_engine(loaded, settings)
        kinds.append({type(module) for module in loaded.model.modules() if isinstance(module, nn.Linear)})
        forward_passes.append(type(engine.forward_pass))
        rows.append(len(engine._rows.tokens) - engine.slots)
    assert kinds == [{nn.Linear}, set()]
    assert forward_passes == [PassesAlone, PackedForwardPass]
    assert rows == [0, usual.prefix_slots]


def test_a_plain_model_is_not_compiled(tmp_path: Path) -> None:
    (tmp_path / "model").symlink_to(TINY)
    (tmp_path / "model-config.yaml").write_text("batchSize: 4\nhandler:\n  plain: true\n")
    write_record(tmp_path)
    with pytest.raises(UnsupportedModelError, match="is to be plain"):
        compile_model(tmp_path, tmp_path / "compiled_steps")
    assert not (tmp_path / "compiled_steps").exists()


def test_a_plain_model_cannot_be_asked_for_weights_of_8_bits() -> None:
    with pytest.raises(ValueError, match="quantization: int8 is one of the fast ways, which plain leaves out"):
        HandlerSettings(quantization="int8", plain=True)
