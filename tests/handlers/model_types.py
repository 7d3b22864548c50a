"""What becomes of each type of causal language model that transformers has, and docs/model-types.md's table of it.

`python -m tests.handlers.model_types` writes the table into that page, between two marks (`make model-types`).
"""

import logging
import random
import sys
from collections import defaultdict
from pathlib import Path
from typing import NamedTuple

import torch
import transformers
from transformers import PreTrainedConfig, PreTrainedModel
from transformers.models.auto.modeling_auto import MODEL_FOR_CAUSAL_LM_MAPPING_NAMES

from adapter.documents.generated_part import GeneratedPart
from handlers.fixed_positions import fix_positions
from handlers.forward_pass import ForwardPass, PackedForwardPass, PassesAlone, SeparateForwardPasses
from handlers.model_loading import LoadedModel
from handlers.sampling import SamplingParameters
from handlers.self_check import TIGHT_TOLERANCE
from handlers.settings import HandlerSettings
from handlers.slot_cache import UnsupportedModelError
from handlers.worker_engine import checked_engine
from tests.handlers.character_tokenizer import character_tokenizer
from tests.handlers.engine_answers import add, generate, run
from tests.handlers.model_sizes import CONTEXT_LENGTH, VOCABULARY
from tests.handlers.small_models import small_config, small_model

PAGE = Path(__file__).resolve().parents[2] / "docs" / "model-types.md"
MODEL_TYPES = sorted(MODEL_FOR_CAUSAL_LM_MAPPING_NAMES)

IN_ONE_PASS = "served, prompts and running requests in one pass"
IN_SEPARATE_PASSES = "served, a pass for each prompt and one for the running requests"
ALONE = "served, passes for each request alone, so many take long"
WRONG = "wrong"
NOT_BUILT = "not tried: the generator of small models makes none of them, or none that runs by itself"
REFUSED = "refused: "

_KINDS: dict[type[ForwardPass], str] = {
    PackedForwardPass: IN_ONE_PASS,
    SeparateForwardPasses: IN_SEPARATE_PASSES,
    PassesAlone: ALONE,
}
_TABLE = GeneratedPart(
    "<!-- `make model-types` writes this table from what each type does -->\n\n",
    "\n<!-- the end of the table of model types -->\n",
)
_SETTINGS = HandlerSettings(slots=4, prefill_tokens=7)
_REQUESTS = {3: 10, 30: 4, 9: 4}  # new tokens by the length of the prompt
# What transformers itself makes no text of, whatever its sizes.
_FAILING_CODE = "transformers' own code fails with it"
_DRAFTS = "it makes drafts for another model, and no text by itself"
RUN_BY_NOBODY = {
    "blt": _FAILING_CODE,
    "gemma3n": "transformers needs the package timm for its pictures (its text alone is gemma3n_text)",
    "gemma4_assistant": _DRAFTS,
    "gemma4_unified_assistant": _DRAFTS,
    "musicgen": _FAILING_CODE,
    "musicgen_melody": _FAILING_CODE,
}
# By a part of what the engine's own refusal says.
_REASONS = {
    "keep a LinearAttention": "linear attention or a recurrent state",
    "compressed_sparse_attention": "attention that caches more than keys and values",
    "minimax_m3_sparse": "attention that caches more than keys and values",
    "keep a Dynamic": "attention that caches more than keys and values",
    "chunked_attention": "attention by chunks",
    "logits differ": "the self-check finds other logits than the model's own",
    "do not work with the engine": "code of its own for what it keeps of earlier tokens",
}


class Outcome(NamedTuple):
    """kind: what the table says. detail: why, for the log."""

    kind: str
    detail: str = ""


def outcome_of(model_type: str) -> Outcome:
    """Of a model as its type has it by default, and of one whose head has weights of its own where it has not."""
    outcome = _outcome(model_type, untied=False)
    if outcome.kind in _KINDS.values() and _is_tied(small_config(model_type)):
        untied = _outcome(model_type, untied=True)
        return outcome if untied.kind == outcome.kind else Outcome(untied.kind, f"untied: {untied.detail}")
    return outcome


def _outcome(model_type: str, *, untied: bool) -> Outcome:
    try:
        model = small_model(model_type, untied=untied)
    except Exception as error:  # noqa: BLE001 - whatever other sizes than the published ones lead to
        return _not_run(model_type, error)
    try:
        own = {length: generate(model, _prompt(length), count) for length, count in _REQUESTS.items()}
    except Exception as error:  # noqa: BLE001 - as above
        return _not_run(model_type, error)
    try:
        kind, answers = _answers(model)
    except UnsupportedModelError as error:
        return Outcome(REFUSED + _reason(str(error)), str(error))
    return Outcome(kind) if answers == own else Outcome(WRONG, f"{answers} and not {own}")


def _not_run(model_type: str, error: Exception) -> Outcome:
    kind = REFUSED + RUN_BY_NOBODY[model_type] if model_type in RUN_BY_NOBODY else NOT_BUILT
    return Outcome(kind, f"{type(error).__name__}: {error}")


def _is_tied(config: PreTrainedConfig) -> bool:
    return any(getattr(each, "tie_word_embeddings", False) for each in (config, config.get_text_config(decoder=True)))


def with_model_types(document: str, outcomes: dict[str, str]) -> str:
    return _TABLE.replace(document, _table(outcomes))


def outcomes_in(document: str) -> dict[str, str]:
    """By the type of a model, as the table in this document has them."""
    rows = [line.strip("|").split(" | ") for line in _TABLE.read(document).splitlines()[2:]]
    return {model_type.strip("` "): kind.strip() for kind, types in rows for model_type in types.strip().split(", ")}


def _table(outcomes: dict[str, str]) -> str:
    types = defaultdict(list)
    for model_type, kind in sorted(outcomes.items()):
        types[kind].append(f"`{model_type}`")
    kinds = sorted(types, key=lambda kind: (kind.startswith(REFUSED), kind == NOT_BUILT, -len(types[kind])))
    rows = [f"| with transformers {transformers.__version__} | `model_type` |", "|---|---|"]
    rows += [f"| {kind} | {', '.join(types[kind])} |" for kind in kinds]
    return "".join(f"{row}\n" for row in rows)


def _answers(model: PreTrainedModel) -> tuple[str, dict[int, list[int]]]:
    fix_positions(model, CONTEXT_LENGTH)
    loaded = LoadedModel(model, character_tokenizer(), frozenset(), CONTEXT_LENGTH)
    engine = checked_engine(loaded, _SETTINGS, tolerance=TIGHT_TOLERANCE)
    answers: dict[str, list[int]] = {}
    for length, count in _REQUESTS.items():
        engine.submit(str(length), _prompt(length), count, SamplingParameters())
        add(answers, engine.step())
    for name, tokens in run(engine).items():
        answers.setdefault(name, []).extend(tokens)
    return _KINDS[type(engine.forward_pass)], {int(name): tokens for name, tokens in answers.items()}


def _prompt(length: int) -> list[int]:
    numbers = random.Random(length)
    return [numbers.randrange(5, VOCABULARY) for _ in range(length)]


def _reason(message: str) -> str:
    return next((reason for part, reason in _REASONS.items() if part in message), message)


def main() -> None:
    transformers.logging.set_verbosity(logging.CRITICAL)
    outcomes = {}
    for model_type in sys.argv[1:] or MODEL_TYPES:
        outcome = outcome_of(model_type)
        outcomes[model_type] = outcome.kind
        sys.stderr.write(f"{model_type}: {outcome.kind} {outcome.detail[:300]!r}\n")
    if not sys.argv[1:]:
        PAGE.write_text(with_model_types(PAGE.read_text(encoding="utf-8"), outcomes), encoding="utf-8")


if __name__ == "__main__":
    torch.set_num_threads(1)
    main()
