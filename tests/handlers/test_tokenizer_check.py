"""A tokenizer whose tokens are not the model's."""

import copy
import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from tokenizers import AddedToken, Tokenizer
from tokenizers.models import WordLevel
from tokenizers.normalizers import Lowercase
from tokenizers.processors import TemplateProcessing
from transformers import AutoTokenizer, LlamaConfig, PreTrainedTokenizerFast

from handlers.engine import Engine
from handlers.sampling import SamplingParameters
from handlers.slot_cache import UnsupportedModelError
from handlers.tokenizer_check import (
    check_vocabulary,
    check_vocabulary_file,
    warn_of_ended_prompts,
    warn_of_other_tokens,
)
from tests.handlers.character_tokenizer import UNKNOWN, character_tokenizer
from tests.handlers.saved_models import SIZES, change_json, load, save_model

TINY = Path(__file__).parents[2] / "models" / "tiny"
EMBEDDINGS = UNKNOWN + 1  # as many as character_tokenizer() has tokens
SPECIAL = AddedToken("<|im_start|>", special=True)
TEMPLATE = "{% for message in messages %}%s{{ message.content }}{% endfor %}"


def with_token(token: AddedToken) -> PreTrainedTokenizerFast:
    tokenizer = character_tokenizer()
    tokenizer.add_tokens([token], special_tokens=token.special)
    return tokenizer


def of_the_vocabulary() -> PreTrainedTokenizerFast:
    tokenizer = character_tokenizer()
    tokenizer.backend_tokenizer.model = WordLevel({**tokenizer.get_vocab(), "é": EMBEDDINGS}, unk_token="<unknown>")
    return tokenizer


def not_special() -> PreTrainedTokenizerFast:
    return with_token(AddedToken("    ", special=False))


def unknown() -> PreTrainedTokenizerFast:
    tokenizer = with_token(AddedToken("<nothing>", special=True))
    tokenizer.unk_token = "<nothing>"
    return tokenizer


def before_each_text() -> PreTrainedTokenizerFast:
    tokenizer = with_token(SPECIAL)
    tokenizer.backend_tokenizer.post_processor = TemplateProcessing(
        single="<|im_start|> $A", special_tokens=[("<|im_start|>", EMBEDDINGS)]
    )
    return tokenizer


def in_the_template() -> PreTrainedTokenizerFast:
    tokenizer = with_token(SPECIAL)
    tokenizer.chat_template = TEMPLATE.replace("%s", "<|im_start|>")
    return tokenizer


def after_an_answer_only() -> PreTrainedTokenizerFast:
    tokenizer = with_token(SPECIAL)
    tokenizer.chat_template = TEMPLATE.replace(
        "%s", "{% if message.role == 'assistant' %}<|im_start|>{% endif %}"
    ).replace("{% for", "{% if messages[0].role == 'system' %}{{ raise_exception('none') }}{% endif %}{% for", 1)
    return tokenizer


@pytest.mark.parametrize(
    ("make", "named"),
    [
        (of_the_vocabulary, "'é'"),
        (not_special, "'    '"),
        (unknown, "'<nothing>'"),
        (before_each_text, r"'<\|im_start\|>'"),
        (in_the_template, r"'<\|im_start\|>'"),
        (after_an_answer_only, r"'<\|im_start\|>'"),
    ],
)
def test_a_token_beyond_the_embedding_that_ordinary_requests_hold_is_refused(
    make: Callable[[], PreTrainedTokenizerFast], named: str
) -> None:
    with pytest.raises(UnsupportedModelError, match=rf"1 tokens beyond the model's {EMBEDDINGS} .* come to {named}\."):
        check_vocabulary(make(), EMBEDDINGS)


def test_a_special_token_that_only_its_own_text_gives_is_a_warning(caplog: pytest.LogCaptureFixture) -> None:
    tokenizer = with_token(AddedToken("[PAD]", special=True))
    tokenizer.chat_template = TEMPLATE.replace("%s", "")

    check_vocabulary(tokenizer, EMBEDDINGS)

    assert "a request with the text of one of them cannot be answered ('[PAD]')" in caplog.text


def test_an_embedding_with_rows_to_spare_is_in_order(caplog: pytest.LogCaptureFixture) -> None:
    check_vocabulary(in_the_template(), EMBEDDINGS + 63)
    assert caplog.messages == []


def test_a_model_is_not_loaded_with_a_tokenizer_that_its_embedding_is_too_small_for(tmp_path: Path) -> None:
    save_model(tmp_path, LlamaConfig(**{**SIZES, "vocab_size": EMBEDDINGS}))
    model = load(tmp_path)
    of_the_vocabulary().save_pretrained(tmp_path)

    engine = Engine(model, frozenset(), slots=1, context_length=16)
    with pytest.raises(ValueError, match="the model has tokens 0 to"):
        engine.submit("it", [EMBEDDINGS], 1, SamplingParameters())
    with pytest.raises(UnsupportedModelError, match="come to 'é'"):
        load(tmp_path)


def test_a_tokenizer_class_that_splits_as_its_file_does_not_is_a_warning(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    tiny = Path(shutil.copytree(TINY, tmp_path / "tiny"))
    warn_of_other_tokens(AutoTokenizer.from_pretrained(tiny), tiny)
    assert caplog.messages == []

    change_json(tiny / "tokenizer_config.json", tokenizer_class="Qwen2Tokenizer")
    change_json(
        tiny / "tokenizer.json",
        pre_tokenizer={"type": "ByteLevel", "add_prefix_space": True, "use_regex": True, "trim_offsets": True},
    )
    warn_of_other_tokens(AutoTokenizer.from_pretrained(tiny), tiny)

    (warning,) = caplog.messages
    assert warning.startswith("Qwen2Tokenizer, which tokenizer_config.json names, splits ")


@pytest.mark.parametrize("kind", ["GPT2Tokenizer", "Qwen2Tokenizer"])
def test_an_older_model_may_have_its_vocabulary_in_files_of_its_own(tmp_path: Path, kind: str) -> None:
    tiny = with_separate_files(tmp_path / "tiny", kind)
    check_vocabulary_file(AutoTokenizer.from_pretrained(tiny), tiny)


def test_a_tokenizer_class_that_reads_other_files_is_refused_and_not_made_empty(tmp_path: Path) -> None:
    tiny = with_separate_files(tmp_path / "tiny", "LlamaTokenizer")
    (tiny / "merges.txt").unlink()
    tokenizer = AutoTokenizer.from_pretrained(tiny)
    with pytest.raises(UnsupportedModelError, match=r"does not know \d+ tokens of the vocabulary's file"):
        check_vocabulary_file(tokenizer, tiny)


def with_separate_files(directory: Path, kind: str) -> Path:
    """models/tiny's tokenizer as it was written before there was tokenizer.json."""
    shutil.copytree(TINY, directory)
    model = json.loads((directory / "tokenizer.json").read_text())["model"]
    (directory / "vocab.json").write_text(json.dumps(model["vocab"]))
    merges = [merge if isinstance(merge, str) else " ".join(merge) for merge in model["merges"]]
    (directory / "merges.txt").write_text("\n".join(["#version: 0.2", *merges, ""]))
    (directory / "tokenizer.json").unlink()
    change_json(directory / "tokenizer_config.json", tokenizer_class=kind)
    return directory


def test_a_length_that_training_left_in_the_file_changes_no_tokens(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    tokenizer = character_tokenizer()
    tokenizer.save_pretrained(tmp_path)
    trained: Tokenizer = copy.deepcopy(tokenizer.backend_tokenizer)
    trained.enable_truncation(8)
    trained.enable_padding(length=512)
    trained.save(str(tmp_path / "tokenizer.json"))

    warn_of_other_tokens(tokenizer, tmp_path)

    assert caplog.messages == []


def test_a_tokenizer_that_has_no_token_for_some_characters_is_compared_on_the_others(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    tokenizer = character_tokenizer()
    known = {name: token_id for name, token_id in tokenizer.get_vocab().items() if token_id != UNKNOWN}
    tokenizer.backend_tokenizer.model = WordLevel(known, unk_token="<unknown>")
    tokenizer.save_pretrained(tmp_path)
    with pytest.raises(Exception, match="UNK"):
        tokenizer("你")

    warn_of_other_tokens(tokenizer, tmp_path)
    assert caplog.messages == []

    lowering = copy.deepcopy(tokenizer)
    lowering.backend_tokenizer.normalizer = Lowercase()
    warn_of_other_tokens(lowering, tmp_path)
    assert "in another way than tokenizer.json says" in caplog.text


@pytest.mark.parametrize(("stop", "is_warned_of"), [(ord("b"), True), (ord("c"), False)])
def test_a_tokenizer_that_ends_each_prompt_as_an_answer_is_a_warning(
    stop: int, caplog: pytest.LogCaptureFixture, *, is_warned_of: bool
) -> None:
    tokenizer = character_tokenizer()
    tokenizer.backend_tokenizer.post_processor = TemplateProcessing(single="$A b", special_tokens=[("b", ord("b"))])

    warn_of_ended_prompts(tokenizer, frozenset({stop}))

    assert ("The tokenizer ends each prompt with b" in caplog.text) == is_warned_of
