"""How a model's authors recommend to sample, as their generation_config.json says it."""

import json
from collections.abc import Iterator

from pydantic import ValidationError

from adapter.schema import GenerationRequest, SamplingDefaults

GENERATION_CONFIG = "generation_config.json"
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
