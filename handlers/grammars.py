"""JSON schemas, regular expressions and choices, as constraints of this model's tokens. The work is llguidance's.

Beside it xgrammar 0.2.9 was measured, over the schemas of tests/fixtures/json_schemas.json and 49,152 tokens: half the
time for a new grammar (0.8 beside 1.4 ms) and a third for a mask (7 beside 24 µs). But it passes over a length beside a
pattern, and takes a oneOf whose parts overlap for an anyOf: an answer that it lets end may not be valid.

Its matchers never raise: a grammar that cannot be made and a token that does not fit are errors that they say when
asked (llguidance, _lib.pyi, LLMatcher).
"""

import json
import random
import re
from collections import OrderedDict
from collections.abc import Collection

import torch
from llguidance import LLMatcher, LLParserLimits
from torch import Tensor

from adapter.output import ChoiceOutput, JsonOutput, Output, RegexOutput
from handlers.detokenization import TokenDecoder
from handlers.token_constraint import bits
from handlers.token_texts import token_texts
from handlers.tool_grammar import CallableTools, arguments_rule, grammar_of_calls, json_rule

_LONGEST_REASON = 300  # characters
_MOST_KEPT = 16  # grammars, of which each has up to 50 MB
# Copies share what they have found out of the lexer, and its limit: each of so many may use a whole answer's worth.
_MOST_COPIES = 4
# Work, not time, so that the same grammar is taken or refused on every machine: seconds at most to make one, beside all
# other requests, and 14 ms for a token.
_LIMITS = LLParserLimits(
    initial_lexer_fuel=1_000_000,
    step_lexer_fuel=200_000,
    step_max_items=20_000,
    max_lexer_states=25_000,
    max_grammar_size=100_000,
    verbose_errors=False,
)
_TOKENS_TRIED = 16
_PLACE = re.compile(r"^at \d+\(\d+\): (failed to compile JSON schema: )?")  # in the grammar that we have made of it
_PLAINER = {
    "Unimplemented keys": "keywords that are not supported",
    " Enable 'coerce_one_of' option to approximate oneOf with anyOf": "",
    "NoExtensionBias": "no text can be valid by it",
}
# Where a grammar leaves no choice, the next tokens need not be known before they come: of a million equal letters it
# would take a third of a second.
_START = '%llguidance {"no_forcing": true}\nstart: '
# A space, or a line and its indent: a model that is unsure writes white space for ever where it may. No keyword is
# passed over.
_JSON = {"whitespace_pattern": r" |\n {0,16}", "lenient": False, "coerce_one_of": False}
# Nobody reads the layout of a call's arguments.
_ARGUMENTS = _JSON | {"whitespace_pattern": " "}


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


class _Kept:
    """A grammar that is made, with the copies of it that answers have had."""

    def __init__(self, matcher: LLMatcher) -> None:
        self._matcher = matcher
        self._copies: list[Grammar] = []

    @property
    def is_used_up(self) -> bool:
        return len(self._copies) >= _MOST_COPIES or any(copy.failure for copy in self._copies)

    def copy(self) -> Grammar:
        self._copies.append(Grammar(self._matcher.deep_copy()))
        return self._copies[-1]


class Grammars:
    """Makes constraints of one model's tokens, by the text of each token. For one thread."""

    def __init__(self, decoder: TokenDecoder, stop_token_ids: Collection[int], vocabulary: int) -> None:
        """vocabulary: how many tokens the model has. It takes half a second. Raises GrammarError."""
        if not any(token_id < vocabulary for token_id in stop_token_ids):
            raise GrammarError("The model has no token that ends an answer, so no output can be kept.")
        self._stop_token_ids = frozenset(stop_token_ids)
        self._tokens = token_texts(decoder, stop_token_ids, vocabulary)
        self._drops_first_space = decoder.drops_first_space
        self._special_tokens = {name: each for each, name in decoder.special_tokens.items() if each < vocabulary}
        self._words = torch.empty(-(-vocabulary // 32), dtype=torch.int32)
        self._kept: OrderedDict[str, _Kept] = OrderedDict()

    def constraint(self, wanted: Output | CallableTools, *, needs_tokens: bool = False) -> Grammar:
        """A new constraint. needs_tokens: whether the answer may not end at once. Raises GrammarError."""
        source = self._source(wanted)
        kept = self._kept.get(source)
        if kept is None:
            if isinstance(wanted, CallableTools):
                self._check_each(wanted)
            kept = self._kept[source] = _Kept(self._tried(source))
            if len(self._kept) > _MOST_KEPT:
                self._kept.popitem(last=False)
        elif kept.is_used_up:
            kept = self._kept[source] = _Kept(self._made(source))
        self._kept.move_to_end(source)
        grammar = kept.copy()
        if needs_tokens and self._stop_token_ids.issuperset(self._allowed(grammar).tolist()):
            raise _refusal("no text but an empty one is valid by it, and the answer may not end at once")
        return grammar

    def _source(self, wanted: Output | CallableTools) -> str:
        """The grammar as llguidance reads it. If a text lacks its first space by itself, it may begin with one."""
        opening = '" "? ' if self._drops_first_space else ""
        match wanted:
            case JsonOutput():
                return f"{_START}{opening}text\ntext: {json_rule(wanted.json_schema, _JSON)}"
            case RegexOutput():
                regex = f"[ ]?(?:{wanted.regex})" if self._drops_first_space else wanted.regex
                return f"{_START}{_in_lark(regex)}"
            case ChoiceOutput():
                choices = " | ".join(map(json.dumps, wanted.choice))
                return f"{_START}{opening}({choices})"
            case CallableTools():
                rules = grammar_of_calls(wanted, _ARGUMENTS, self._special_tokens)
                return f"{_START}{opening}answer\n{rules}"

    def _check_each(self, calls: CallableTools) -> None:
        """Checks each tool alone, so that the error names the tool."""
        for tool in calls.tools:
            try:
                self._tried(f"{_START}{arguments_rule(tool, _ARGUMENTS)}")
            except GrammarError as error:
                raise GrammarError(f"The tool {tool.name!r}: {error}") from error

    def _tried(self, source: str) -> LLMatcher:
        matcher = self._made(source)
        if reason := self._failure_of(Grammar(matcher.deep_copy())):
            raise _refusal(reason)
        return matcher

    def _made(self, source: str) -> LLMatcher:
        matcher = LLMatcher(self._tokens, source, log_level=0, limits=_LIMITS)
        if reason := matcher.get_error():
            raise _refusal(reason)
        return matcher

    def _failure_of(self, grammar: Grammar) -> str | None:
        """A failure that llguidance finds at the first tokens only, by an answer of random ones."""
        choice = random.Random(0)  # noqa: S311 - no secret
        for _ in range(_TOKENS_TRIED):
            allowed = self._allowed(grammar)
            if grammar.failure or not len(allowed) or grammar.take(int(choice.choice(allowed))):
                break
        return grammar.failure

    def _allowed(self, grammar: Grammar) -> Tensor:
        """The tokens that may come next, in their order."""
        grammar.allowed(self._words)
        return bits(self._words[None])[0].nonzero()[:, 0]


def _in_lark(regex: str) -> str:
    [grammar] = json.loads(LLMatcher.grammar_from_regex(regex))["grammars"]
    return str(grammar["lark_grammar"]).removeprefix("start: ")


def _refusal(reason: str) -> GrammarError:
    return GrammarError(f"The output cannot be kept: {_reason(reason)}.")


def _reason(error: str) -> str:
    """The error in one line. For a regular expression there are several, with the expression and a pointer into it."""
    lines = error.splitlines()
    own = [line.removeprefix("error: ") for line in lines if line.startswith("error: ")]
    reason = _PLACE.sub("", (own or lines)[0]).strip().rstrip(".")
    for theirs, ours in _PLAINER.items():
        reason = reason.replace(theirs, ours)
    return reason.rstrip(" .")[:_LONGEST_REASON]
