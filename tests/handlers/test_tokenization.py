import random
from pathlib import Path

import pytest
from transformers import AutoTokenizer, PreTrainedTokenizerBase

from handlers.tokenization import Detokenizer, encode_prompt

TINY = Path(__file__).parents[2] / "models" / "tiny"
TEXTS = ["Once upon a time", "naïve café", "你好，世界。", "👩‍👩‍👧‍👦 and 🏳️‍🌈", "a\u2028b\r\n\tc", "עברית"]


@pytest.fixture(scope="module")
def tokenizer() -> PreTrainedTokenizerBase:
    return AutoTokenizer.from_pretrained(TINY)


@pytest.mark.parametrize("text", TEXTS)
def test_pieces_add_up_to_the_text_and_hold_whole_characters(tokenizer: PreTrainedTokenizerBase, text: str) -> None:
    detokenizer = Detokenizer(tokenizer)
    pieces = [detokenizer.push(token_id) for token_id in tokenizer(text, add_special_tokens=False)["input_ids"]]

    assert "".join(pieces) + detokenizer.flush() == text
    assert not any("\ufffd" in piece for piece in pieces)


def test_random_tokens_give_what_decoding_them_at_once_gives(tokenizer: PreTrainedTokenizerBase) -> None:
    generator = random.Random(0)
    for _ in range(300):
        ids = [generator.randrange(len(tokenizer)) for _ in range(24)]
        detokenizer = Detokenizer(tokenizer)

        text = "".join(map(detokenizer.push, ids)) + detokenizer.flush()

        assert text == tokenizer.decode(ids, skip_special_tokens=True)


def test_character_that_the_model_never_finishes_comes_out_as_a_replacement_character(
    tokenizer: PreTrainedTokenizerBase,
) -> None:
    first_byte = tokenizer("😀", add_special_tokens=False)["input_ids"][0]
    detokenizer = Detokenizer(tokenizer)

    assert detokenizer.push(first_byte) == ""
    assert detokenizer.flush() == "\ufffd"


def test_prompt_begins_as_the_model_was_trained(tokenizer: PreTrainedTokenizerBase) -> None:
    assert encode_prompt(tokenizer, "Once")[0] == tokenizer.bos_token_id
