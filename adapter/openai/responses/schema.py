"""What OpenAI's clients send to /v1/responses: by the same rules as what they send to the rest of /v1.

https://platform.openai.com/docs/api-reference/responses/create
"""

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, StringConstraints

from adapter.openai.lenient import Lenient
from adapter.openai.response_format import JsonObjectFormat, TextFormat
from adapter.openai.responses.items import InputItem, one_message
from adapter.openai.responses.tools import FunctionTool, ToolChoice
from adapter.openai.responses.unsupported import UnsupportedInResponses
from adapter.openai.schema import MAX_MESSAGES, SampledRequest, TokenLimit
from adapter.output import JsonOutput, Output
from adapter.tools import MAX_TOOLS

LOGPROBS = "message.output_text.logprobs"

# OpenAI's own limits of it.
Metadata = Annotated[
    dict[Annotated[str, StringConstraints(max_length=64)], Annotated[str, StringConstraints(max_length=512)]],
    Field(max_length=16),
]


class JsonSchemaFormat(Lenient):
    """Its schema is kept whatever `strict` says."""

    type: Literal["json_schema"]
    name: str = ""
    description: str | None = None
    json_schema: dict[str, Any] = Field(alias="schema")
    strict: bool = True

    @property
    def output(self) -> Output | None:
        return JsonOutput(schema=self.json_schema)


TextForm = Annotated[TextFormat | JsonObjectFormat | JsonSchemaFormat, Field(discriminator="type")]


class TextOptions(Lenient):
    format: TextForm = TextFormat(type="text")


class ResponseRequest(SampledRequest, UnsupportedInResponses):
    model: Annotated[str, Field(min_length=1)]  # required by OpenAI and Open Responses, other than in the rest of /v1
    input: Annotated[
        list[InputItem], Field(min_length=1, max_length=MAX_MESSAGES, fail_fast=True), BeforeValidator(one_message)
    ]
    instructions: str | None = None
    tools: list[FunctionTool] = Field(default_factory=list, max_length=MAX_TOOLS)
    tool_choice: ToolChoice = "auto"
    parallel_tool_calls: bool = True
    text: TextOptions = TextOptions()
    max_output_tokens: TokenLimit | None = None  # without it to the end of the answer or of the context
    include: list[str] = Field(default_factory=list)  # all but LOGPROBS is of tools and items that are refused
    top_logprobs: int = 0

    # These are only repeated in the answer.
    metadata: Metadata = Field(default_factory=dict)
    max_tool_calls: int | None = None  # of tools that run on the server
    prompt_cache_key: str | None = None
    safety_identifier: str | None = None
