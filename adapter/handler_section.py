"""The `handler:` section of model-config.yaml: `torchbridge pack` checks it, the worker obeys it."""

from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

Slots = Annotated[int, Field(ge=1, le=1_024, description="Most requests that run at once: batchSize.")]


# A variable of the worker's environment: the directory where `torchbridge compile` leaves what it makes.
COMPILED_STEPS_VARIABLE = "TORCHBRIDGE_COMPILED_STEPS"


class HandlerSection(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)

    context_length: int | None = Field(
        default=None,
        ge=2,
        description="Most tokens of prompt and answer; the model's own limit, at most 4,096, if absent.",
    )
    dtype: Literal["auto", "float32", "bfloat16", "float16"] = Field(
        default="auto",
        description="auto is what the weights are stored in, and float32 on a CPU without units for that.",
    )
    quantization: Literal["int8"] | None = Field(
        default=None,
        description="int8: weights of linear layers in 8 bits, each output with a scale of its own; CPU alone.",
    )
    threads: int | None = Field(default=None, ge=1, description="Measured, again and again, if absent.")
    prefill_tokens: int = Field(default=256, ge=1, description="Most prompt tokens in a step with running requests.")
    prefix_slots: int = Field(
        default=8, ge=0, description="Ended requests whose cache serves others that begin with the same tokens."
    )
    compile: bool = Field(
        default=True,
        description="Whether steps are compiled while the worker serves; those that are there are used anyway.",
    )
    plain: bool = Field(
        default=False,
        description="Whether the model runs as it is, each request by itself: slow, to compare the fast ways with.",
    )
    special_tokens_in_messages: bool = Field(
        default=False, description="Whether callers may write a chat template's own tokens in their messages."
    )

    @model_validator(mode="after")
    def _int8_is_not_of_float16(self) -> Self:
        if self.quantization is not None and self.dtype == "float16":
            raise ValueError(f"quantization: {self.quantization} computes in bfloat16 or float32, not in {self.dtype}")
        return self

    @model_validator(mode="after")
    def _int8_is_not_plain(self) -> Self:
        if self.quantization is not None and self.plain:
            raise ValueError(f"quantization: {self.quantization} is one of the fast ways, which plain leaves out")
        return self

    @model_validator(mode="before")
    @classmethod
    def _nothing_is_as_absent(cls, section: Any) -> Any:
        if isinstance(section, dict):
            return {key: value for key, value in section.items() if value is not None}
        return {} if section is None else section
