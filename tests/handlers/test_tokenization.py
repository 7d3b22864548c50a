import copy
from pathlib import Path

import pytest
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from tokenizers.processors import TemplateProcessing
from transformers import AutoTokenizer, PreTrainedTokenizerFast

from handlers.tokenization import PromptEncodingError, encode_prompt
from tests.tokenizer_families import BEGIN, FAMILIES, TURN_END, make_tokenizer

TINY = Path(__file__).parents[2] / "models" / "tiny"
WITHOUT_BEGIN = "Once upon a"


def test_prompt_begins_as_the_model_was_trained() -> None:
    tokenizer = AutoTokenizer.from_pretrained(TINY)

    assert encode_prompt(tokenizer, "Once")[0] == tokenizer.bos_token_id


@pytest.mark.parametrize("family", FAMILIES)
def test_prompt_that_begins_with_the_beginning_of_sequence_gets_no_second_one(family: str) -> None:
    tokenizer = make_tokenizer(family)
    ids = tokenizer(BEGIN + WITHOUT_BEGIN)["input_ids"]
    assert ids[:2] == [tokenizer.bos_token_id] * 2

    assert encode_prompt(tokenizer, BEGIN + WITHOUT_BEGIN) == ids[1:]
    assert encode_prompt(tokenizer, BEGIN) == ids[:1]


def test_tokens_that_come_before_every_text_are_not_doubled_however_many_they_are() -> None:
    tokenizer = with_beginning("byte_level", f"{BEGIN} {TURN_END} $A {TURN_END}")

    ids = encode_prompt(tokenizer, f"{BEGIN}{TURN_END}a")

    assert tokenizer.convert_ids_to_tokens(ids) == [BEGIN, TURN_END, "a", TURN_END]


def test_what_the_prompt_says_twice_stays_where_the_tokenizer_adds_nothing() -> None:
    tokenizer = with_beginning("byte_level", "$A")

    assert tokenizer.convert_ids_to_tokens(encode_prompt(tokenizer, f"{BEGIN}{BEGIN}a")) == [BEGIN, BEGIN, "a"]


def with_beginning(family: str, template: str) -> PreTrainedTokenizerFast:
    """The family's tokenizer with other tokens around every text."""
    tokenizer = copy.deepcopy(make_tokenizer(family))
    tokens = [(token, tokenizer.convert_tokens_to_ids(token)) for token in (BEGIN, TURN_END)]
    tokenizer.backend_tokenizer.post_processor = TemplateProcessing(single=template, special_tokens=tokens)
    return tokenizer


def test_prompt_with_a_character_that_the_tokenizer_cannot_write_is_refused() -> None:
    with pytest.raises(PromptEncodingError, match="has no token for a character of this prompt"):
        encode_prompt(make_tokenizer("unigram_without_unknown"), "café")


def test_word_that_the_tokenizer_does_not_know_is_refused() -> None:
    vocabulary = {"Once": 0}
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=Tokenizer(WordLevel(vocabulary, unk_token="<none>")))

    with pytest.raises(PromptEncodingError):
        encode_prompt(tokenizer, "Twice")
