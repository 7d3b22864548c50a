"""The answers of a model where it was packed, by which others can show elsewhere that it still gives them.

It is written and read by the handlers' code too, so it is packed into every archive.
"""

from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, NonNegativeInt, model_validator

PROBES_ENTRY = "MAR-INF/PROBES.json"
LEAST_LOG_PROBABILITY = -10_000
MAX_PROBES = 100
MAX_TOKENS = 1_000

_Tokens = Annotated[tuple[NonNegativeInt, ...], Field(max_length=MAX_TOKENS, fail_fast=True)]
_Tenths = Annotated[int, Field(ge=LEAST_LOG_PROBABILITY, le=0)]


class _Part(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)


class Probe(_Part):
    """A prompt, and the beginning of its greedy answer: as far as every hardware and data type gives the same one."""

    prompt: str = Field(min_length=1, max_length=MAX_TOKENS)
    prompt_tokens: Annotated[_Tokens, Field(min_length=1)]
    answer: str
    answer_tokens: _Tokens
    finish_reason: Literal["stop", "length"] = Field(description="Why it ends when no more tokens are asked for.")
    log_probabilities: tuple[_Tenths, ...] = Field(
        fail_fast=True,
        description="The log-probability of each token of the prompt and the answer but the first, in tenths of a nat.",
    )

    @model_validator(mode="after")
    def _each_token_has_its_log_probability(self) -> Self:
        if len(self.log_probabilities) != len(self.tokens) - 1:
            raise ValueError("there is not one log-probability for each token but the first")
        return self

    @property
    def tokens(self) -> tuple[int, ...]:
        return self.prompt_tokens + self.answer_tokens


class Probes(_Part):
    format: Literal[1] = 1
    probes: Annotated[tuple[Probe, ...], Field(max_length=MAX_PROBES, fail_fast=True)]

    @classmethod
    def from_bytes(cls, content: bytes) -> Self:
        """Raises ValueError, also where the same probes could be written in another way."""
        probes = cls.model_validate_json(content)
        if probes.to_bytes() != content:
            raise ValueError("the probes are not in their canonical form")
        return probes

    def to_bytes(self) -> bytes:
        return self.model_dump_json().encode() + b"\n"
