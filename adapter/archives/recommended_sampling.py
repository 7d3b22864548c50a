"""How a model's authors recommend to sample, as their generation_config.json says it."""

import json
from collections.abc import Iterator

from pydantic import ValidationError

from adapter.schema import GenerationRequest, SamplingDefaults

GENERATION_CONFIG = "generation_config.json"
# What generate() heeds and no worker does, and the values that change nothing.
_HEEDED_BY_GENERATE: dict[str, tuple[object, ...]] = {
    "bad_words_ids": ([],),
    "begin_suppress_tokens": ([],),
    "epsilon_cutoff": (0,),
    "eta_cutoff": (0,),
    "exponential_decay_length_penalty": (),
    "forced_bos_token_id": (),
    "forced_eos_token_id": (),
    "guidance_scale": (1,),
    "min_length": (0,),
    "min_new_tokens": (0,),
    "min_p": (0,),
    "no_repeat_ngram_size": (0,),
    "num_beams": (1,),
    "penalty_alpha": (0,),
    "sequence_bias": ([], {}),
    "stop_strings": ([], ""),
    "suppress_tokens": ([],),
    "typical_p": (1,),
}
_NONE = {"top_k": (0, -1)}  # transformers' and vLLM's words for no such filter


def read_sampling_defaults(generation_config: bytes) -> SamplingDefaults:
    """The recommendations that a request could ask for, too. Raises ValueError if it is not JSON."""
    usable = {name: value for name, value in _recommended(generation_config) if _can_be_asked(name, value)}
    return SamplingDefaults.model_validate(usable)


def unusable_recommendations(generation_config: bytes) -> list[str]:
    """The recommendations that no request could ask for. Raises ValueError."""
    return [
        f"{name} {value!r:.40}" for name, value in _recommended(generation_config) if not _can_be_asked(name, value)
    ]


def unheeded_settings(generation_config: bytes) -> list[str]:
    """What changes the answers of generate(), and not those of a worker. Raises ValueError."""
    config = json.loads(generation_config)
    return [
        name
        for name, neutral in _HEEDED_BY_GENERATE.items()
        if isinstance(config, dict) and config.get(name) not in (None, *neutral)
    ]


def _recommended(generation_config: bytes) -> Iterator[tuple[str, object]]:
    config = json.loads(generation_config)
    for name in SamplingDefaults.model_fields if isinstance(config, dict) else ():
        value = config.get(name)
        if value is not None and value not in _NONE.get(name, ()):
            yield name, value


def _can_be_asked(name: str, value: object) -> bool:
    try:
        GenerationRequest.model_validate({"prompt": "any", name: value})
    except ValidationError:
        return False
    return True
