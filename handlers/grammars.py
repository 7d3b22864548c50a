"""JSON schemas, regular expressions and choices, as constraints of this model's tokens. The work is llguidance's.

Beside it xgrammar 0.2.9 was measured, over the schemas of tests/fixtures/json_schemas.json and 49,152 tokens: half the
time for a new grammar (0.8 beside 1.4 ms) and a third for a mask (7 beside 24 µs). But it passes over a length beside a
pattern, and takes a oneOf whose parts overlap for an anyOf: an answer that it lets end may not be valid.

Its matchers never raise: a grammar that cannot be made and a token that does not fit are errors that they say when
asked (llguidance, _lib.pyi, LLMatcher).
"""

import json
from collections import OrderedDict
from collections.abc import Collection

from llguidance import LLMatcher, LLParserLimits
from torch import Tensor

from adapter.output import ChoiceOutput, JsonOutput, Output, RegexOutput
from handlers.detokenization import TokenDecoder
from handlers.token_texts import token_texts

_LONGEST_REASON = 300  # characters
_MOST_KEPT = 64  # grammars; of the largest that are taken each has some 10 MB
# Work, not time, so that the same grammar is taken or refused on every machine: some 100 ms of a core at most to make
# one, and a millisecond for a token.
_LIMITS = LLParserLimits(
    initial_lexer_fuel=1_000_000,
    step_lexer_fuel=200_000,
    step_max_items=20_000,
    max_lexer_states=50_000,
    max_grammar_size=100_000,
    verbose_errors=False,
)
# A model that is unsure writes white space for ever where it may. No keyword is passed over.
_JSON = {"whitespace_pattern": r"[ \n\r\t]{1,20}", "lenient": False, "coerce_one_of": False}


class GrammarError(ValueError):
    """The output that was asked for cannot be kept; the message is for the caller."""


class Grammar:
    """The constraint of one answer."""

    def __init__(self, matcher: LLMatcher) -> None:
        self._matcher = matcher
        self.failure: str | None = None

    def allowed(self, words: Tensor) -> None:
        # It writes as many as its own tokenizer has; the engine may have fewer.
        self._matcher.unsafe_compute_mask_ptr(words.data_ptr(), words.nbytes)
        if self._matcher.is_error():
            self.failure = self._matcher.get_error()
            words.zero_()

    def take(self, token: int) -> bool:
        return self._matcher.consume_token(token) and self._matcher.is_stopped()


class Grammars:
    """Of one model's tokens, by what text each of them is."""

    def __init__(self, decoder: TokenDecoder, stop_token_ids: Collection[int], vocabulary: int) -> None:
        """vocabulary: how many tokens the model has. It takes half a second."""
        self._tokens = token_texts(decoder, stop_token_ids, vocabulary)
        self._drops_first_space = decoder.drops_first_space
        self._kept: OrderedDict[str, LLMatcher] = OrderedDict()

    def constraint(self, output: Output) -> Grammar:
        """A new one. Raises GrammarError."""
        source = _source(output, drops_first_space=self._drops_first_space)
        matcher = self._kept.get(source)
        if matcher is None:
            matcher = self._kept[source] = self._made(source)
            if len(self._kept) > _MOST_KEPT:
                self._kept.popitem(last=False)
        self._kept.move_to_end(source)
        return Grammar(matcher.deep_copy())

    def _made(self, source: str) -> LLMatcher:
        matcher = LLMatcher(self._tokens, source, log_level=0, limits=_LIMITS)
        if matcher.is_error():
            raise GrammarError(f"The output cannot be kept: {_reason(matcher.get_error())}.")
        return matcher


def _source(output: Output, *, drops_first_space: bool) -> str:
    """As llguidance reads it. drops_first_space: of the text, which may then begin with one."""
    opening = '" "? ' if drops_first_space else ""
    match output:
        case JsonOutput():
            schema = json.dumps(output.json_schema | {"x-guidance": _JSON})  # whatever its own said
            return LLMatcher.grammar_from_lark(f"start: {opening}text\ntext: %json {schema}")
        case RegexOutput():
            regex = f"[ ]?(?:{output.regex})" if drops_first_space else output.regex
            return LLMatcher.grammar_from_regex(regex)
        case ChoiceOutput():
            choices = " | ".join(map(json.dumps, output.choice))
            return LLMatcher.grammar_from_lark(f"start: {opening}({choices})")


def _reason(error: str) -> str:
    """In one line. Of a regular expression there are several, with the expression and a pointer into it."""
    lines = error.splitlines()
    own = [line.removeprefix("error: ") for line in lines if line.startswith("error: ")]
    return (own or lines)[0].strip()[:_LONGEST_REASON]
