"""What a model-config.yaml says to the handler, every default visible."""

from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field


class HandlerSettings(BaseModel):
    """The `handler:` section of model-config.yaml, and `batchSize`, which is TorchServe's own key."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    slots: int = Field(default=64, ge=1, le=1_024, description="Most requests that run at once: batchSize.")
    context_length: int | None = Field(
        default=None,
        ge=2,
        description="Most tokens of prompt and answer; the model's own limit, at most 4,096, if absent.",
    )
    dtype: Literal["auto", "float32", "bfloat16", "float16"] = Field(
        default="auto", description="auto is what the weights are stored in."
    )
    threads: int | None = Field(default=None, ge=1, description="Measured at load if absent.")
    prefill_tokens: int = Field(default=64, ge=1, description="Most prompt tokens between two decode steps.")

    @classmethod
    def from_model_config(cls, model_config: dict[str, Any]) -> Self:
        """Raises pydantic.ValidationError, which names every key that is wrong."""
        section = {key: value for key, value in (model_config.get("handler") or {}).items() if value is not None}
        return cls(slots=model_config.get("batchSize", 64), **section)
