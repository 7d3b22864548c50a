"""What a model-config.yaml says to the handler, every default visible."""

from pathlib import Path
from typing import Any, Self

from adapter.handler_section import HandlerSection, Slots
from adapter.strict_yaml import YamlError, read_yaml


class HandlerSettings(HandlerSection):
    """The `handler:` section of model-config.yaml, and `batchSize`, which is TorchServe's own key."""

    slots: Slots = 64

    @classmethod
    def read(cls, model_config: Path) -> Self:
        """Raises OSError, YamlError, and pydantic.ValidationError as from_model_config does."""
        match read_yaml(model_config):
            case dict(settings):
                return cls.from_model_config(settings)
        raise YamlError(f"{model_config}: it is not a mapping")

    @classmethod
    def from_model_config(cls, model_config: dict[str, Any]) -> Self:
        """Raises pydantic.ValidationError, which names every key that is wrong."""
        return cls(slots=model_config.get("batchSize", 64), **(model_config.get("handler") or {}))
