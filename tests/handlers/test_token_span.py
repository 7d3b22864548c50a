"""A prompt that fits is never taken for one that does not, whatever its tokenizer makes of it."""

from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Regex, Tokenizer, normalizers, pre_tokenizers
from transformers import PreTrainedTokenizerFast

from handlers.token_span import TokenSpan
from tests.tokenizer_families import FAMILIES, SHOWN, byte_level, gemma, make_tokenizer, phi3


def with_normalizer(normalizer: normalizers.Normalizer) -> Tokenizer:
    tokenizer = byte_level()
    tokenizer.normalizer = normalizer
    return tokenizer


def with_pre_tokenizer(first: pre_tokenizers.PreTokenizer) -> Tokenizer:
    tokenizer = byte_level()
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([first, pre_tokenizers.ByteLevel()])
    return tokenizer


def without_some_bytes() -> Tokenizer:
    """As SmolLM2's: no token for some control characters, which it leaves out of a text without a word."""
    whole = byte_level()
    vocabulary = {token: number for token, number in whole.get_vocab().items() if token not in "ĄĆêñ"}
    merges: list[tuple[str, str]] = []
    tokenizer = Tokenizer(type(whole.model)(vocabulary, merges))
    tokenizer.pre_tokenizer = whole.pre_tokenizer
    return tokenizer


def without_a_continuation_byte() -> Tokenizer:
    whole = byte_level()
    vocabulary = {token: number for token, number in whole.get_vocab().items() if token != "Ģ"}
    tokenizer = Tokenizer(type(whole.model)(vocabulary, []))
    tokenizer.pre_tokenizer = whole.pre_tokenizer
    return tokenizer


BOUNDED: dict[str, Callable[[], Tokenizer]] = {
    "byte level": byte_level,
    "Gemma": gemma,
    "Phi-3, whose marks take whitespace": phi3,
    "without some bytes": without_some_bytes,
    "composing": lambda: with_normalizer(normalizers.Sequence([normalizers.NFKC(), normalizers.Lowercase()])),
    "replacing": lambda: with_normalizer(normalizers.Replace("e", "ee")),
    "splitting": lambda: with_pre_tokenizer(pre_tokenizers.Split(Regex(r"\d"), "isolated")),
}
UNBOUNDED: dict[str, Callable[[], Tokenizer]] = {
    "without a continuation byte": without_a_continuation_byte,
    "shortening": lambda: with_normalizer(normalizers.Replace("ee", "e")),
    "collapsing": lambda: with_normalizer(
        normalizers.Sequence([normalizers.NFC(), normalizers.Replace(Regex(" +"), " ")])
    ),
    "stripping": lambda: with_normalizer(normalizers.StripAccents()),
    "splitting and removing": lambda: with_pre_tokenizer(pre_tokenizers.Split("x", "removed")),
    "splitting at whitespace": lambda: with_pre_tokenizer(pre_tokenizers.WhitespaceSplit()),
    "BPE without bytes": FAMILIES["metaspace_bpe"],
    "Unigram": FAMILIES["unigram"],
    "Unigram with bytes": FAMILIES["unigram_with_byte_fallback"],
    "WordPiece": FAMILIES["wordpiece"],
    "WordLevel": FAMILIES["word_level"],
}

PIECES = st.sampled_from(
    [
        *(
            " ",
            "\n",
            "\t",
            "\u3000",
            "\x04",
            "\x80",
            "\u2581",
            "a",
            "e",
            "x",
            "the",
            " the cat",
            "12",
            "好",
            "😀",
            "\U00040000",
        ),
        *("é", "e\u0301", "α\u0313\u0300\u0345", "ﷺ", "<|end|>", "<|user|>", *SHOWN),
    ]
)
TEXTS = st.lists(st.builds(str.__mul__, PIECES | st.text(max_size=3), st.integers(1, 40)), max_size=12).map("".join)


def fast(tokenizer: Tokenizer) -> PreTrainedTokenizerFast:
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer)


@pytest.mark.parametrize("name", BOUNDED)
def test_a_text_has_no_fewer_tokens_than_its_length_says(name: str) -> None:
    tokenizer = fast(BOUNDED[name]())
    span = TokenSpan.of(tokenizer)
    assert span is not None

    @given(TEXTS)
    @settings(max_examples=100, derandomize=True)
    def check(text: str) -> None:
        assert span.least_tokens(text) <= len(tokenizer(text)["input_ids"])

    check()


@pytest.mark.parametrize("name", BOUNDED)
def test_a_text_of_tokens_as_long_as_can_be_is_still_so_many(name: str) -> None:
    span = TokenSpan.of(fast(BOUNDED[name]()))

    assert span is not None
    assert span.least_tokens("a" * (100 * span.characters + 1)) == 101


@pytest.mark.parametrize("name", UNBOUNDED)
def test_nothing_is_known_by_its_length_where_a_token_may_stand_for_any_text(name: str) -> None:
    assert TokenSpan.of(fast(UNBOUNDED[name]())) is None


def test_any_amount_of_whitespace_may_be_in_a_mark_that_takes_it() -> None:
    tokenizer = make_tokenizer("phi3")
    span = TokenSpan.of(tokenizer)
    text = "<|end|>" + " " * 100_000

    assert len(tokenizer(text, add_special_tokens=False)["input_ids"]) == 1
    assert span is not None
    assert span.least_tokens(text) == 1
