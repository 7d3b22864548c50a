"""A thousand answers at temperature 1 by a hundred schemas, sixteen at once: what is complete is valid.

tests/fixtures/json_schemas.json has the schemas, by what they are made of. So many are those of `make soak`: otherwise
the small model gives one answer by each schema, and the real one by an eighth of each kind, which run at once.
"""

import json
import os
from pathlib import Path
from typing import Any

import pytest
import torch
from jsonschema import Draft202012Validator
from transformers import AutoModelForCausalLM, AutoTokenizer

from adapter.output import JsonOutput
from handlers.detokenization import TokenDecoder
from handlers.engine import Engine
from handlers.engine_news import EndReason
from handlers.grammars import Grammars
from handlers.sampling import SamplingParameters
from tests.handlers.engine_answers import add
from tests.project import PROJECT
from tests.real_model.directory import REAL_MODEL, needs_real_model

FILE = Path(__file__).parents[1] / "fixtures" / "json_schemas.json"
KINDS: dict[str, list[dict[str, Any]]] = json.loads(FILE.read_text())
SCHEMAS = [schema for schemas in KINDS.values() for schema in schemas]
TINY = PROJECT / "models" / "tiny"
AT_ONCE, MOST_TOKENS = 16, 120
EVERY_POINT = "TORCHBRIDGE_TEST_EVERY_POINT" in os.environ
SEEDS = 10 if EVERY_POINT else 1
OF_THE_REAL_MODEL = SCHEMAS if EVERY_POINT else [schema for schemas in KINDS.values() for schema in schemas[::8]]


def answers_of(directory: Path, schemas: list[dict[str, Any]]) -> list[tuple[dict[str, Any], str, EndReason]]:
    """By each schema with each seed below SEEDS."""
    tokenizer = AutoTokenizer.from_pretrained(directory)
    model = AutoModelForCausalLM.from_pretrained(directory, dtype=torch.float32).eval()
    stop = [tokenizer.eos_token_id]
    grammars = Grammars(TokenDecoder(tokenizer), stop, model.config.vocab_size)
    engine = Engine(model, stop, slots=AT_ONCE, context_length=256)
    prompt = tokenizer("An answer in JSON: ").input_ids
    asked = {f"{number} {seed}": schema for number, schema in enumerate(schemas) for seed in range(SEEDS)}
    for name, schema in asked.items():
        constraint = grammars.constraint(JsonOutput(schema=schema))
        seed = int(name.rpartition(" ")[2])
        engine.submit(name, prompt, MOST_TOKENS, SamplingParameters(temperature=1.0, seed=seed), constraint)
    tokens: dict[str, list[int]] = {}
    ends: dict[str, EndReason] = {}
    while engine.has_work:
        step = engine.step()
        add(tokens, step)
        ends |= {} if step is None else step.ended
    return [
        (schema, tokenizer.decode(tokens[name], skip_special_tokens=True), ends[name]) for name, schema in asked.items()
    ]


@pytest.mark.parametrize(
    ("directory", "schemas"),
    [(TINY, SCHEMAS), pytest.param(REAL_MODEL, OF_THE_REAL_MODEL, marks=needs_real_model)],
    ids=["tiny", "real"],
)
def test_every_complete_answer_is_valid_by_its_schema(directory: Path, schemas: list[dict[str, Any]]) -> None:
    complete = 0
    for schema, text, end in answers_of(directory, schemas):
        if end == "length":
            continue
        assert end != "failed", schema
        complete += 1
        validator = Draft202012Validator(schema, format_checker=Draft202012Validator.FORMAT_CHECKER)
        # RFC 3339 has a year 0, which Python's dates have not.
        assert validator.is_valid(json.loads(text.replace('"0000-', '"2000-'))), (schema, text)

    assert complete > 0.8 * SEEDS * len(schemas)
