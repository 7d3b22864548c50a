"""The prompt's text and the pieces of its answer are what the tokenizer makes of all ids, for every family."""

import itertools
import os
import random
import re
from collections.abc import Iterator, Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers import PreTrainedTokenizerFast

from handlers.detokenization import Detokenizer, TokenDecoder
from tests.tokenizer_families import BYTE_FALLBACK_FAMILIES, BYTES, FAMILIES, make_tokenizer

# Texts of which the prompts are made.
WORDS = [
    "Once",
    " upon",
    " time",
    "    return",
    "\n",
    "é",
    "😀",
    "世",
    "�",
    "▁",
    ".",
    "n't",
    "<s>",
    "<|im_end|>",
    "<think>",
]
PLAIN = ["Once", " upon", " a", "    return", ".", "n't", "<s>", "<|im_end|>", "<think>"]


def hidden(tokenizer: PreTrainedTokenizerFast) -> set[int]:
    return {key for key, token in tokenizer.added_tokens_decoder.items() if token.special}


def whole_text(tokenizer: PreTrainedTokenizerFast, family: str, ids: Sequence[int]) -> str:
    """What the tokenizer makes of ids, if each byte that is in no character were U+FFFD and spoiled no other."""
    mended = mend(tokenizer, ids) if family in BYTE_FALLBACK_FAMILIES else ids
    return tokenizer.backend_tokenizer.decode(list(mended), skip_special_tokens=False)


def mend(tokenizer: PreTrainedTokenizerFast, ids: Sequence[int]) -> Iterator[int]:
    id_of = byte_ids(tokenizer)
    known = (token_id for token_id in ids if token_id < len(tokenizer))
    for is_bytes, run in itertools.groupby(known, id_of.__contains__):
        if not is_bytes:
            yield from run
            continue
        content = bytes(map(id_of.index, run)).decode(errors="surrogateescape")
        text = re.sub("[\ud800-\udfff]", "�", content)  # each byte that is in no character
        yield from (id_of[byte] for byte in text.encode())


def byte_ids(tokenizer: PreTrainedTokenizerFast) -> list[int]:
    return tokenizer.convert_tokens_to_ids(BYTES)


def prompts(family: str) -> st.SearchStrategy[list[int]]:
    words = st.lists(st.sampled_from(PLAIN if family == "unigram_without_unknown" else WORDS), max_size=6)
    return words.map(lambda chosen: make_tokenizer(family)("".join(chosen))["input_ids"])


def answers(family: str) -> st.SearchStrategy[list[int]]:
    """Any ids, those that the tokenizer does not know too; often bytes, where it has some."""
    tokenizer = make_tokenizer(family)
    tokens = st.integers(0, len(tokenizer) + 2)
    if family in BYTE_FALLBACK_FAMILIES:
        tokens |= st.sampled_from([byte_ids(tokenizer)[byte] for byte in "\n é😀".encode()])
    return st.lists(tokens, max_size=24)


@pytest.mark.parametrize("family", FAMILIES)
def test_prompt_and_pieces_are_what_the_tokenizer_makes_of_all_ids(family: str) -> None:
    tokenizer = make_tokenizer(family)
    decoder = TokenDecoder(tokenizer)
    skipped = hidden(tokenizer)

    @given(prompts(family), answers(family))
    @settings(max_examples=200 if "TORCHBRIDGE_TEST_EVERY_POINT" in os.environ else 60)
    def check(prompt: list[int], answer: list[int]) -> None:
        detokenizer = Detokenizer(decoder, prompt)
        shown: list[int] = []
        text = whole_text(tokenizer, family, prompt)
        for token_id in answer:
            text += detokenizer.push(token_id)
            shown += [] if token_id in skipped else [token_id]
            whole = whole_text(tokenizer, family, [*prompt, *shown])
            # What is held back is at most three bytes of a character that is not finished.
            assert whole.startswith(text)
            assert whole[len(text) :] in ("", "�", "��", "���")
            assert detokenizer.is_within_character or whole == text
        assert text + detokenizer.flush() == whole_text(tokenizer, family, [*prompt, *shown])

    check()


def push_all(detokenizer: Detokenizer, ids: Sequence[int]) -> list[str]:
    return [*map(detokenizer.push, ids), detokenizer.flush()]


def encode(tokenizer: PreTrainedTokenizerFast, text: str) -> list[int]:
    return tokenizer(text, add_special_tokens=False)["input_ids"]


@pytest.mark.parametrize("family", FAMILIES)
def test_answer_without_a_prompt_is_decoded_as_a_text_of_its_own(family: str) -> None:
    tokenizer = make_tokenizer(family)
    ids = encode(tokenizer, "Once upon a time .")

    assert "".join(push_all(Detokenizer(TokenDecoder(tokenizer)), ids)) == tokenizer.decode(ids)


@pytest.mark.parametrize("family", FAMILIES)
def test_text_goes_on_from_the_prompt_as_if_it_were_one(family: str) -> None:
    tokenizer = make_tokenizer(family)
    ids = encode(tokenizer, "Once upon a time there was a cat .")
    prompt, answer = ids[: len(ids) // 2], ids[len(ids) // 2 :]

    pieces = push_all(Detokenizer(TokenDecoder(tokenizer), prompt), answer)

    assert tokenizer.decode(prompt) + "".join(pieces) == tokenizer.decode(ids)


@pytest.mark.parametrize(
    ("prompt", "answer", "text"),
    [("Once upon a", "time", " time"), ("def f(x):\n", "   return x", "    return x")],
    ids=["a word", "an indentation"],
)
def test_continuation_keeps_its_first_space(prompt: str, answer: str, text: str) -> None:
    llama2 = make_tokenizer("llama2")

    pieces = push_all(Detokenizer(TokenDecoder(llama2), encode(llama2, prompt)), encode(llama2, answer))

    assert "".join(pieces) == text


BROKEN = [
    (b"\n\xe2", "a", ["\n", "", "\ufffda", ""]),
    ("é".encode() + b"\xa9", "a", ["", "é", "\ufffd", "a", ""]),
    ("😀".encode() + b"\xf0\x9f", "", ["", "", "", "😀", "", "", "\ufffd\ufffd"]),
    (b"\n\xf0\x9f\x98", "", ["\n", "", "", "", "\ufffd\ufffd\ufffd"]),
    (b"\xe2\x82" + "é".encode(), "", ["", "", "\ufffd\ufffd", "é", ""]),
]


@pytest.mark.parametrize(
    ("content", "text", "pieces"),
    BROKEN,
    ids=["begun", "only continued", "half of a second", "three of four", "begun, and then a whole one"],
)
def test_bytes_that_are_no_character_are_replaced_one_by_one_and_spoil_no_other(
    content: bytes, text: str, pieces: list[str]
) -> None:
    gemma = make_tokenizer("gemma")
    ids = [byte_ids(gemma)[byte] for byte in content] + [gemma.convert_tokens_to_ids(letter) for letter in text]

    assert push_all(Detokenizer(TokenDecoder(gemma)), ids) == pieces


@pytest.mark.parametrize("family", ["byte_level", "gemma"])
def test_bytes_that_never_become_a_character_are_not_held_back(family: str) -> None:
    tokenizer = make_tokenizer(family)
    lone = tokenizer.convert_tokens_to_ids("½" if family == "byte_level" else "<0xBD>")  # a byte inside of a character
    detokenizer = Detokenizer(TokenDecoder(tokenizer))

    assert [detokenizer.push(lone) for _ in range(5)] == ["\ufffd"] * 5


@pytest.mark.parametrize("family", ["byte_level", "character_level"])
def test_the_models_own_token_for_a_replacement_character_passes_at_once(family: str) -> None:
    tokenizer = make_tokenizer(family)
    (token_id,) = encode(tokenizer, "\ufffd")
    detokenizer = Detokenizer(TokenDecoder(tokenizer))

    assert [detokenizer.push(token_id) for _ in range(5)] == ["\ufffd"] * 5


@pytest.mark.parametrize("family", FAMILIES)
def test_a_token_costs_the_same_however_long_the_answer_is(family: str) -> None:
    tokenizer = make_tokenizer(family)
    decoder = TokenDecoder(tokenizer)
    decoded: list[int] = []
    decode = decoder.decode

    def count(tokens: list[str]) -> str:
        decoded.append(len(tokens))
        return decode(tokens)

    decoder.decode = count
    detokenizer = Detokenizer(decoder, encode(tokenizer, "Once upon a time" * 100))
    generator = random.Random(0)
    costs = []
    for _ in range(3_000):
        decoded.clear()
        detokenizer.push(generator.randrange(len(tokenizer)))
        costs.append(sum(decoded))

    assert max(costs) <= 32
