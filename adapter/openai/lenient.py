"""The base of what OpenAI's clients send."""

from pydantic import BaseModel, ConfigDict, model_validator


class Lenient(BaseModel):
    """Strict types, but null is as absent, and unknown keys are ignored."""

    model_config = ConfigDict(strict=True, frozen=True, allow_inf_nan=False, protected_namespaces=())

    @model_validator(mode="before")
    @classmethod
    def _without_nulls(cls, data: object) -> object:
        return {key: value for key, value in data.items() if value is not None} if isinstance(data, dict) else data
