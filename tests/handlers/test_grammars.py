"""An answer has the form that was asked for, whatever the model would rather say; others are as without it."""

import json
import random
import re

import pytest
import torch
from jsonschema import validate
from pydantic import TypeAdapter
from transformers import AutoModelForCausalLM, AutoTokenizer, PreTrainedModel, PreTrainedTokenizerBase

from adapter.output import Output
from handlers.detokenization import TokenDecoder
from handlers.engine import Engine
from handlers.engine_news import EndReason
from handlers.grammars import GrammarError, Grammars
from handlers.sampling import SamplingParameters
from handlers.token_constraint import bits
from tests.handlers.engine_answers import add
from tests.project import PROJECT
from tests.tokenizer_families import FAMILIES, make_tokenizer

TINY = PROJECT / "models" / "tiny"
PROMPT = "Once upon a time"
OUTPUT: TypeAdapter[Output] = TypeAdapter(Output)


@pytest.fixture(scope="module")
def tokenizer() -> PreTrainedTokenizerBase:
    return AutoTokenizer.from_pretrained(TINY)


@pytest.fixture(scope="module")
def model() -> PreTrainedModel:
    return AutoModelForCausalLM.from_pretrained(TINY, dtype=torch.float32).eval()


@pytest.fixture
def engine(model: PreTrainedModel) -> Engine:
    return Engine(model, [model.config.eos_token_id], slots=8, context_length=256)


@pytest.fixture(scope="module")
def grammars(tokenizer: PreTrainedTokenizerBase, model: PreTrainedModel) -> Grammars:
    return Grammars(TokenDecoder(tokenizer), [model.config.eos_token_id], model.config.vocab_size)


class Answers:
    """Of one engine, as text and with the reason of their end."""

    def __init__(self, engine: Engine, grammars: Grammars, tokenizer: PreTrainedTokenizerBase) -> None:
        self._engine, self._grammars, self._tokenizer = engine, grammars, tokenizer
        self._prompt = tokenizer(PROMPT).input_ids

    def ask(self, name: str, output: object = None, seed: int | None = None, max_length: int = 200) -> None:
        constraint = None if output is None else self._grammars.constraint(OUTPUT.validate_python(output))
        parameters = SamplingParameters(temperature=0.0 if seed is None else 1.0, seed=seed)
        self._engine.submit(name, self._prompt, max_length, parameters, constraint)

    def all(self) -> dict[str, tuple[str, EndReason]]:
        tokens: dict[str, list[int]] = {}
        ends: dict[str, EndReason] = {}
        while self._engine.has_work:
            step = self._engine.step()
            add(tokens, step)
            ends |= {} if step is None else step.ended
        return {
            name: (self._tokenizer.decode(ids, skip_special_tokens=True), ends[name]) for name, ids in tokens.items()
        }


@pytest.fixture
def answers(engine: Engine, grammars: Grammars, tokenizer: PreTrainedTokenizerBase) -> Answers:
    return Answers(engine, grammars, tokenizer)


PERSON = {
    "type": "object",
    "properties": {
        "name": {"type": "string", "maxLength": 10},
        "age": {"type": "integer", "minimum": 0, "maximum": 120},
    },
    "required": ["name", "age"],
    "additionalProperties": False,
}


def test_json_is_valid_by_its_schema(answers: Answers) -> None:
    for number in range(8):
        answers.ask(str(number), {"schema": PERSON}, seed=number)

    for text, end in answers.all().values():
        assert end == "complete"
        validate(json.loads(text), PERSON)


def test_a_text_matches_its_regular_expression(answers: Answers) -> None:
    for number in range(8):
        answers.ask(str(number), {"regex": "[a-f]{3}-[0-9]{4}"}, seed=number)

    for text, end in answers.all().values():
        assert end == "complete"
        assert re.fullmatch("[a-f]{3}-[0-9]{4}", text)


def test_a_text_is_one_of_some(answers: Answers) -> None:
    choices = ["yes", "no", 'a "quoted" \\one', "é and 😀"]
    for number in range(8):
        answers.ask(str(number), {"choice": choices}, seed=number)

    texts = answers.all()
    assert {end for _, end in texts.values()} == {"complete"}
    assert {text for text, _ in texts.values()} <= set(choices)


def test_an_answer_that_is_cut_short_says_so(answers: Answers) -> None:
    answers.ask("0", {"schema": PERSON}, max_length=3)

    [(_, end)] = answers.all().values()
    assert end == "length"


def test_where_more_may_follow_the_model_ends_it(answers: Answers) -> None:
    answers.ask("0", {"regex": "(qzx)?"})

    assert answers.all() == {"0": ("", "stop")}


@pytest.mark.parametrize("regex", ["()", "a{0}"])
def test_an_answer_that_has_to_have_tokens_is_not_asked_for_none(grammars: Grammars, regex: str) -> None:
    nothing = OUTPUT.validate_python({"regex": regex})

    assert grammars.constraint(nothing)
    with pytest.raises(GrammarError, match="may not end at once"):
        grammars.constraint(nothing, needs_tokens=True)
    assert grammars.constraint(OUTPUT.validate_python({"regex": "a?"}), needs_tokens=True)


def test_answers_beside_them_are_as_without(answers: Answers) -> None:
    for number in range(4):
        answers.ask(f"free {number}", seed=number, max_length=40)
    alone = answers.all()
    for number in range(4):
        answers.ask(f"bound {number}", {"schema": PERSON}, seed=number)
        answers.ask(f"free {number}", seed=number, max_length=40)
    together = answers.all()

    assert {name: together[name] for name in alone} == alone


@pytest.mark.parametrize(
    ("output", "words"),
    [
        ({"schema": {"type": "array", "uniqueItems": True}}, "uniqueItems"),
        ({"schema": {"type": "object", "properties": {"a": {"not": {"type": "string"}}}}}, "not"),
        ({"schema": {"type": "string", "format": "colour"}}, "colour"),
        ({"schema": {"x-guidance": {"lenient": True}, "uniqueItems": True}}, "uniqueItems"),
        ({"schema": {"type": "integer", "minimum": 3, "maximum": 2}}, "minimum"),
        ({"schema": {"$ref": "https://example.com/schema"}}, "https://example.com/schema"),
        ({"regex": "(?=a)b"}, "look-around"),
        ({"regex": "("}, "unclosed group"),
        ({"regex": "[^\\s\\S]"}, "no text can be valid by it"),
        ({"schema": {"$ref": "#"}}, "no text can be valid by it"),
        ({"schema": {"oneOf": [{"type": "object"}, {"type": "object", "minProperties": 1}]}}, "oneOf constraints"),
    ],
    ids=str,
)
def test_what_cannot_be_kept_is_refused_by_its_name(grammars: Grammars, output: object, words: str) -> None:
    with pytest.raises(GrammarError, match=re.escape(words)) as raised:
        grammars.constraint(OUTPUT.validate_python(output))

    assert "\n" not in str(raised.value)


@pytest.mark.parametrize("regex", ["a{4294967295}", "((((a{100}){100}){100}){100})", "x(a?){500}a{500}"])
def test_letters_that_must_follow_are_not_looked_for_before_they_do(grammars: Grammars, regex: str) -> None:
    """The engine waits for it: nothing is known of them before."""
    grammar = grammars.constraint(OUTPUT.validate_python({"regex": regex}))
    assert grammar.failure is None
    assert '"no_forcing": true' in grammars._source(OUTPUT.validate_python({"regex": regex}))


def test_answers_of_one_grammar_do_not_take_each_other_s_work(
    grammars: Grammars, tokenizer: PreTrainedTokenizerBase
) -> None:
    """Copies share what they found out, and its limit: one by one they would all fail in the end."""
    output = OUTPUT.validate_python({"regex": ".*[aeiou].{200}"})
    words = torch.empty(-(-len(tokenizer) // 32), dtype=torch.int32)
    choice = random.Random(1)
    for _ in range(30):
        grammar = grammars.constraint(output)
        for _ in range(60):
            grammar.allowed(words)
            allowed = bits(words[None])[0].nonzero()[:, 0]
            if grammar.failure or grammar.take(int(choice.choice(allowed))):
                break
        assert grammar.failure is None


def test_a_grammar_that_failed_is_made_anew(grammars: Grammars) -> None:
    output = OUTPUT.validate_python({"regex": "[a-z]{3}"})
    grammars.constraint(output).failure = "too many states"
    assert grammars.constraint(output).failure is None
    assert not grammars._kept[grammars._source(output)].is_used_up


def test_a_model_without_an_end_is_told_in_words(tokenizer: PreTrainedTokenizerBase) -> None:
    with pytest.raises(GrammarError, match="no token that ends an answer"):
        Grammars(TokenDecoder(tokenizer), [], len(tokenizer))


def ids_of(tokenizer: PreTrainedTokenizerBase, text: str) -> list[int]:
    return tokenizer(text, add_special_tokens=False).input_ids


@pytest.mark.parametrize("family", sorted(set(FAMILIES) - {"word_level"}))
@pytest.mark.parametrize("more", [0, 7], ids=["as many tokens as the model", "fewer than the model"])
def test_whatever_the_tokenizer_a_text_may_be_written_as_it_is_encoded(family: str, more: int) -> None:
    tokenizer = make_tokenizer(family)
    decoder = TokenDecoder(tokenizer)
    grammars = Grammars(decoder, [tokenizer.eos_token_id or 0], len(tokenizer) + more)
    constraint = grammars.constraint(OUTPUT.validate_python({"regex": " ?(yes|no it is) ?"}))
    words = torch.empty(-(-(len(tokenizer) + more) // 32), dtype=torch.int32)

    for token in ids_of(tokenizer, "no it is"):
        constraint.allowed(words)
        assert words[token // 32] >> (token % 32) & 1, tokenizer.convert_ids_to_tokens(token)
        constraint.take(token)
    assert constraint.failure is None


@pytest.mark.parametrize("family", ["llama2", "metaspace_bpe", "wordpiece"])
def test_a_space_that_the_decoder_drops_is_no_part_of_the_text(family: str) -> None:
    tokenizer = make_tokenizer(family)
    grammars = Grammars(TokenDecoder(tokenizer), [tokenizer.eos_token_id or 0], len(tokenizer))

    for output in ({"choice": ["no it is", "yes"]}, {"regex": "no it is|yes"}, {"schema": {"const": 12}}):
        constraint = grammars.constraint(OUTPUT.validate_python(output))
        text = "12" if "schema" in output else "no it is"
        ids = ids_of(tokenizer, text)
        assert tokenizer.decode(ids) == text
        assert [constraint.take(token) for token in ids] == [False] * (len(ids) - 1) + [True]
