"""An answer as a whole, and how likely its tokens were."""

from typing import Literal

from pydantic import Field

from adapter.sent import Sent
from adapter.tools import ToolCall

FinishReason = Literal["stop", "length", "stop_sequence", "complete", "tool_calls"]


class TokenText(Sent):
    id: int
    token: str = Field(description="Its text; U+FFFD stands for bytes that are no whole character.")
    bytes: tuple[int, ...] = Field(
        description="What it adds to the text, in UTF-8: several tokens may make up a character together, and special"
        " tokens add nothing."
    )


class TopLogprob(TokenText):
    logprob: float = Field(description="Natural logarithm of its probability by the model's own logits.")


class TokenLogprob(TopLogprob):
    top: tuple[TopLogprob, ...] = Field(description="The likeliest tokens in its place, the likeliest first.")


class PromptLogprob(TokenText):
    logprob: float | None = Field(
        description="Natural logarithm of its probability by the model's own logits; null for the first token."
    )
    top: tuple[TopLogprob, ...] = Field(description="The likeliest tokens in its place, the likeliest first.")


class GenerationResponse(Sent):
    text: str
    tokens_generated: int
    generation_time: float = Field(description="Seconds from the start of prompt processing to the last token.")
    id: str
    model: str
    model_version: str
    model_digest: str = Field(description="The archive's digest: no two archives with other contents have the same.")
    finish_reason: FinishReason
    prompt_tokens: int
    queue_time: float = Field(description="Seconds before prompt processing started.")
    time_to_first_token: float = Field(description="Seconds from the gateway's receipt to the first text.")
    cached: bool = Field(default=False, description="Whether the model ran for another, equal request.")
    logprobs: tuple[TokenLogprob, ...] | None = Field(
        default=None, description="How likely each token of the text was; null if the request does not ask for it."
    )
    tool_calls: tuple[ToolCall, ...] | None = Field(
        default=None, description="The calls of tools that the model wrote; null if the chat has no tools."
    )
    prompt_logprobs: tuple[PromptLogprob, ...] | None = Field(
        default=None, description="How likely each token of the prompt was; null if the request does not ask for it."
    )
