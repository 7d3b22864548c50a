import copy
import json
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from handlers.model_loading import load_model
from handlers.settings import HandlerSettings
from handlers.stop_tokens import stop_token_ids
from tests.handlers.chat_families import family_tokenizer

TINY = Path(__file__).parents[2] / "models" / "tiny"
CHATML = family_tokenizer("qwen")
TURN_END = CHATML.convert_tokens_to_ids("<|im_end|>")
TEXT_END = CHATML.convert_tokens_to_ids("<|endoftext|>")
BEYOND = len(CHATML)


def stops_at(eos: object, *, tokenizer: PreTrainedTokenizerFast = CHATML) -> frozenset[int]:
    model = LlamaForCausalLM(
        LlamaConfig(
            vocab_size=len(CHATML), hidden_size=8, intermediate_size=8, num_hidden_layers=1, num_attention_heads=1
        )
    )
    model.generation_config.eos_token_id = eos
    return stop_token_ids(model, tokenizer)


def without_template(eos: str | None) -> PreTrainedTokenizerFast:
    changed = copy.deepcopy(CHATML)
    changed.chat_template, changed.eos_token = None, eos
    return changed


@pytest.mark.parametrize("eos", [TURN_END, [TURN_END], None], ids=["a number", "a list", "nothing"])
def test_answer_ends_where_all_say_so(eos: object, caplog: pytest.LogCaptureFixture) -> None:
    assert stops_at(eos) == {TURN_END}
    assert not caplog.records


def test_answer_ends_at_the_end_of_the_tokenizer_and_of_the_generation_config(caplog: pytest.LogCaptureFixture) -> None:
    stops = stops_at(TEXT_END, tokenizer=without_template("<|im_end|>"))

    assert stops == {TEXT_END, TURN_END}
    assert caplog.messages == [
        "Answers end at the tokenizer's <|im_end|>, too, which generation_config.json does not name"
    ]


def test_answer_ends_at_the_end_of_the_templates_turn(caplog: pytest.LogCaptureFixture) -> None:
    tokenizer = copy.deepcopy(CHATML)
    tokenizer.eos_token = "<|endoftext|>"

    assert stops_at(TEXT_END, tokenizer=tokenizer) == {TEXT_END, TURN_END}
    assert caplog.messages == [
        "Answers end at the chat template's <|im_end|>, too, which generation_config.json does not name"
    ]


@pytest.mark.parametrize("eos", [[], [-1], -1, "2", ["2"], [True], [2.0], [BEYOND]], ids=repr)
def test_what_is_no_token_of_the_model_ends_no_answer(eos: object) -> None:
    assert stops_at(eos) == {TURN_END}


def test_what_is_no_token_of_the_model_is_warned_of(caplog: pytest.LogCaptureFixture) -> None:
    stops_at([-1, TURN_END, "2"])

    assert caplog.messages == [
        "The eos_token_id of generation_config.json has what is no token of the model: [-1, '2']"
    ]


def test_model_whose_answers_nothing_ends_is_warned_of(caplog: pytest.LogCaptureFixture) -> None:
    assert stops_at(None, tokenizer=without_template(None)) == frozenset()
    assert caplog.messages == ["No token ends an answer: each goes on to its max_length"]


def load(directory: Path, **changed: Any) -> Sequence[int]:
    shutil.copytree(TINY, directory, dirs_exist_ok=True)
    for name, values in changed.items():
        file = directory / f"{name}.json"
        file.write_text(json.dumps(json.loads(file.read_text()) | values))
    return sorted(load_model(directory, HandlerSettings()).stop_token_ids)


def test_model_is_loaded_with_the_ends_of_both_files(tmp_path: Path) -> None:
    assert load(tmp_path, generation_config={"eos_token_id": 2}, tokenizer_config={"eos_token": "<eos>"}) == [1, 2]


def test_empty_template_is_loaded_as_none(tmp_path: Path) -> None:
    shutil.copytree(TINY, tmp_path, dirs_exist_ok=True)
    (tmp_path / "chat_template.jinja").write_text("")

    assert load_model(tmp_path, HandlerSettings()).tokenizer.chat_template is None
