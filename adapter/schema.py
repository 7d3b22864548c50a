"""The wire contract: requests, responses, stream events and problems.

openapi.json, the TypeScript types, the gateway's validation and the handler's events all come from this file.
It is also packed into every archive, so it knows nothing of HTTP servers, TorchServe or torch.
"""

from enum import StrEnum
from typing import Annotated, Any, Literal, NamedTuple, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    GetPydanticSchema,
    StringConstraints,
    TypeAdapter,
    ValidationError,
    ValidatorFunctionWrapHandler,
)
from pydantic_core import PydanticCustomError, core_schema

from adapter.output import Output
from adapter.received import Received
from adapter.sent import Sent
from adapter.tools import ToolCall, ToolCallDelta, Tools

# Of what WorkerRequest takes (adapter/worker_contract.py): an archive packed today is served by every later gateway.
CONTRACT_VERSION = 5

MAX_PROMPT_CHARACTERS = 1_000_000
MAX_LENGTH = 32_768
MAX_STOP_STRINGS = 64
MAX_STOP_STRING_CHARACTERS = 1_000
# Of all of them: every piece of an answer is compared with each character of each (handlers/stop_strings.py).
MAX_STOP_CHARACTERS = 4_000
MAX_BIASED_TOKENS = 1_024  # as vLLM; OpenAI has 300
MAX_TOP_LOGPROBS = 20
MAX_BATCH_REQUESTS = 256
MAX_SEED = 2**53 - 1  # the largest integer that a JavaScript number carries exactly

# TorchServe takes any management request that contains "/token" for its token API
# (TokenAuthorizationHandler.java:43), and a name becomes a URL segment: hence no "token…" and no "..".
# Python's "$" also matches before a final line feed; JavaScript has no "\Z".
NAME_PATTERN = r"^(?!token)(?!.*\.\.)[A-Za-z0-9][A-Za-z0-9._-]{0,127}$(?!\n)"
Name = Annotated[str, StringConstraints(pattern=NAME_PATTERN)]
StopString = Annotated[str, StringConstraints(min_length=1, max_length=MAX_STOP_STRING_CHARACTERS)]
TokenId = Annotated[str, StringConstraints(pattern=r"^(0|[1-9][0-9]{0,8})$(?!\n)")]  # a name in JSON is text
Bias = Annotated[float, Field(ge=-100, le=100)]
FinishReason = Literal["stop", "length", "stop_sequence", "complete", "tool_calls"]


def as_list(value: object) -> object:
    """One stop string needs no list."""
    return [value] if isinstance(value, str) else value


def _check_characters(stop: tuple[str, ...]) -> tuple[str, ...]:
    if sum(map(len, stop)) > MAX_STOP_CHARACTERS:
        raise PydanticCustomError(
            "stop_characters", "must have at most {most} characters in all", {"most": MAX_STOP_CHARACTERS}
        )
    return stop


StopStrings = Annotated[
    tuple[StopString, ...],
    Field(max_length=MAX_STOP_STRINGS, strict=False, fail_fast=True),
    AfterValidator(_check_characters),
    BeforeValidator(
        as_list, json_schema_input_type=StopString | Annotated[list[StopString], Field(max_length=MAX_STOP_STRINGS)]
    ),
]


class GenerationRequest(Received):
    # Swagger UI sends it as it is where nobody changes it, so it must do something.
    model_config = ConfigDict(json_schema_extra={"examples": [{"prompt": "Once upon a time", "max_length": 100}]})

    prompt: str = Field(min_length=1, max_length=MAX_PROMPT_CHARACTERS)
    max_length: int = Field(
        default=100, ge=1, le=MAX_LENGTH, description="Most tokens to generate, the prompt not counted."
    )
    temperature: float = Field(default=0.7, ge=0, le=2, description="0 always takes the likeliest token.")
    top_p: float | None = Field(
        default=None, gt=0, le=1, description="Sample among the likeliest tokens that together reach this probability."
    )
    top_k: int | None = Field(default=None, ge=1, le=1_000, description="Sample among this many likeliest tokens.")
    repetition_penalty: float | None = Field(
        default=None, ge=0.1, le=10, description="Above 1 makes tokens that were already used less likely."
    )
    min_p: float | None = Field(
        default=None,
        gt=0,
        le=1,
        description="Sample among tokens of at least this part of the likeliest's probability.",
    )
    frequency_penalty: float = Field(
        default=0, ge=-2, le=2, description="Taken off a token's logit for each time that the answer has it already."
    )
    presence_penalty: float = Field(
        default=0, ge=-2, le=2, description="Taken off a token's logit once, if the answer has it already."
    )
    logit_bias: dict[TokenId, Bias] = Field(
        default={},
        max_length=MAX_BIASED_TOKENS,
        description="Added to the logits of tokens, by their ids.",
        json_schema_extra={"additionalProperties": False},
    )
    stop: StopStrings = Field(
        default=(),
        description=f"Generation ends before any of these. At most {MAX_STOP_CHARACTERS:,} characters in all.",
    )
    seed: int | None = Field(default=None, ge=0, le=MAX_SEED, description="The same seed gives the same answer.")
    min_length: int = Field(
        default=0, ge=0, le=MAX_LENGTH, description="Fewest tokens to generate, unless a text of `stop` comes first."
    )
    ignore_eos: bool = Field(default=False, description="Whether to go on where the model would end its answer.")
    logprobs: int | None = Field(
        default=None,
        ge=0,
        le=MAX_TOP_LOGPROBS,
        description="Tell how likely each token was, and this many of the likeliest ones in its place.",
    )
    prompt_logprobs: int | None = Field(
        default=None, ge=0, le=MAX_TOP_LOGPROBS, description="As `logprobs`, of the tokens of the prompt."
    )
    output: Output | None = Field(default=None, description="What the text has to be; any text when absent.")
    model: Name | None = Field(default=None, description="The gateway's default model when absent.")
    model_version: Name | None = Field(default=None, description="The model's default version when absent.")


class ChatMessage(BaseModel):
    """tool_calls: of an assistant; tool_call_id: of the call that a message of role "tool" is the result of."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    role: str
    content: str
    tool_calls: tuple[ToolCall, ...] = Field(default=(), strict=False)
    tool_call_id: str | None = None


class ChatGenerationRequest(GenerationRequest):
    """A conversation to go on with; `prompt` is the same as plain text, for a model without a chat template.

    continue_final_message: whether the answer goes on with the text of the last message, which is the assistant's.
    tool_choice: "required" for nothing but calls of `tools`, and "auto" for calls or a text.
    prompt_ids: a prompt as the model's own tokens, in place of `prompt`.
    """

    prompt_ids: tuple[int, ...] | None = Field(
        default=None, min_length=1, max_length=MAX_PROMPT_CHARACTERS, strict=False
    )

    messages: tuple[ChatMessage, ...] | None = Field(default=None, strict=False)
    continue_final_message: bool = False
    tools: Tools = ()
    tool_choice: Literal["auto", "required"] = "auto"
    parallel_tool_calls: bool = True


class WorkerRequest(ChatGenerationRequest):
    """A generation request as the gateway hands it to the worker."""

    id: str
    stream: bool = Field(default=True, description="Whether anybody reads the deltas as they come.")
    answer_ids: tuple[int, ...] = Field(
        default=(),
        max_length=MAX_LENGTH,
        strict=False,
        description="Tokens of the answer that an earlier worker has told: it goes on behind them, and tells the rest.",
    )


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
    logprob: float | None = Field(description="As of an answer's token; null for the first.")
    top: tuple[TopLogprob, ...] = Field(description="The likeliest tokens in its place, the likeliest first.")


class GenerationResponse(Sent):
    text: str
    tokens_generated: int
    generation_time: float = Field(description="Seconds from the start of prompt processing to the last token.")
    id: str
    model: str
    model_version: str
    model_digest: str = Field(description="Of the archive: no two archives with other contents have the same.")
    finish_reason: FinishReason
    prompt_tokens: int
    queue_time: float = Field(description="Seconds before prompt processing started.")
    time_to_first_token: float = Field(description="Seconds from the gateway's receipt to the first text.")
    cached: bool = Field(default=False, description="Whether the model ran for another, equal request.")
    logprobs: tuple[TokenLogprob, ...] | None = Field(
        default=None, description="Of the tokens of the text, where they were asked for."
    )
    tool_calls: tuple[ToolCall, ...] | None = Field(
        default=None, description="What the model calls, of the tools of a chat that has some."
    )
    prompt_logprobs: tuple[PromptLogprob, ...] | None = Field(
        default=None, description="Of the tokens of the prompt, where they were asked for."
    )


class ErrorCode(StrEnum):
    INVALID_REQUEST = "invalid_request"
    PROMPT_TOO_LONG = "prompt_too_long"
    MALFORMED_JSON = "malformed_json"
    MALFORMED_HTTP = "malformed_http"
    UNAUTHORIZED = "unauthorized"
    FORBIDDEN = "forbidden"
    NOT_FOUND = "not_found"
    MODEL_NOT_FOUND = "model_not_found"
    VERSION_NOT_FOUND = "version_not_found"
    METHOD_NOT_ALLOWED = "method_not_allowed"
    REQUEST_TIMEOUT = "request_timeout"
    CONFLICT = "conflict"
    PAYLOAD_TOO_LARGE = "payload_too_large"
    ADDRESS_TOO_LONG = "address_too_long"
    UNSUPPORTED_MEDIA_TYPE = "unsupported_media_type"
    RATE_LIMITED = "rate_limited"
    HEADERS_TOO_LARGE = "headers_too_large"
    CANCELLED = "cancelled"
    INTERNAL = "internal"
    WORKER_DIED = "worker_died"
    GENERATION_FAILED = "generation_failed"
    UPSTREAM_PROTOCOL = "upstream_protocol"
    OVERLOADED = "overloaded"
    MODEL_NOT_READY = "model_not_ready"
    UPSTREAM_UNAVAILABLE = "upstream_unavailable"
    SHUTTING_DOWN = "shutting_down"
    OUT_OF_MEMORY = "out_of_memory"
    DEADLINE_EXCEEDED = "deadline_exceeded"


class ErrorKind(NamedTuple):
    """What is true of every problem of one code."""

    status: int
    title: str
    retryable: bool = False
    retry_after: int | None = None  # seconds; clients ignore more than 60


ERROR_CATALOGUE: dict[ErrorCode, ErrorKind] = {
    ErrorCode.INVALID_REQUEST: ErrorKind(422, "The request is not valid"),
    ErrorCode.PROMPT_TOO_LONG: ErrorKind(422, "The prompt does not fit into the model's context"),
    ErrorCode.MALFORMED_JSON: ErrorKind(400, "The body is not JSON"),
    ErrorCode.MALFORMED_HTTP: ErrorKind(400, "The request is not valid HTTP"),
    ErrorCode.UNAUTHORIZED: ErrorKind(401, "A valid API key is needed"),
    ErrorCode.FORBIDDEN: ErrorKind(403, "This is not allowed here"),
    ErrorCode.NOT_FOUND: ErrorKind(404, "There is nothing at this address"),
    ErrorCode.MODEL_NOT_FOUND: ErrorKind(404, "There is no such model"),
    ErrorCode.VERSION_NOT_FOUND: ErrorKind(404, "There is no such model version"),
    ErrorCode.METHOD_NOT_ALLOWED: ErrorKind(405, "This address does not take this method"),
    ErrorCode.REQUEST_TIMEOUT: ErrorKind(408, "The request took too long to arrive", retryable=True, retry_after=1),
    ErrorCode.CONFLICT: ErrorKind(409, "That already exists"),
    ErrorCode.PAYLOAD_TOO_LARGE: ErrorKind(413, "The request body is too large"),
    ErrorCode.ADDRESS_TOO_LONG: ErrorKind(414, "The request's address is too long"),
    ErrorCode.UNSUPPORTED_MEDIA_TYPE: ErrorKind(415, "The request body must be JSON"),
    ErrorCode.RATE_LIMITED: ErrorKind(429, "Too many requests in this time", retryable=True, retry_after=1),
    ErrorCode.HEADERS_TOO_LARGE: ErrorKind(431, "The request's headers are too large"),
    ErrorCode.CANCELLED: ErrorKind(499, "The caller went away"),
    ErrorCode.INTERNAL: ErrorKind(500, "The gateway failed"),
    ErrorCode.WORKER_DIED: ErrorKind(502, "The model's worker died", retryable=True, retry_after=2),
    ErrorCode.GENERATION_FAILED: ErrorKind(502, "The model failed on this request"),
    ErrorCode.UPSTREAM_PROTOCOL: ErrorKind(502, "The model server's answer made no sense"),
    ErrorCode.OVERLOADED: ErrorKind(503, "Too many requests are waiting", retryable=True, retry_after=1),
    ErrorCode.MODEL_NOT_READY: ErrorKind(503, "The model is still loading", retryable=True, retry_after=5),
    ErrorCode.UPSTREAM_UNAVAILABLE: ErrorKind(503, "The model server is not there", retryable=True, retry_after=5),
    ErrorCode.SHUTTING_DOWN: ErrorKind(503, "The server is shutting down", retryable=True, retry_after=5),
    ErrorCode.OUT_OF_MEMORY: ErrorKind(503, "The model ran out of memory", retryable=True, retry_after=5),
    ErrorCode.DEADLINE_EXCEEDED: ErrorKind(504, "The answer took too long"),
}


class FieldError(Sent):
    field: str = Field(description="Path of the field, its parts joined by dots.")
    message: str


class Problem(Sent):
    """A failure as RFC 9457 problem details."""

    type: str
    title: str
    status: int
    detail: str
    code: ErrorCode
    request_id: str | None = None
    retryable: bool = False
    retry_after: int | None = Field(default=None, description="Seconds after which a retry is worth it.")
    errors: tuple[FieldError, ...] = ()

    @classmethod
    def of(cls, code: ErrorCode, detail: str, **extra: Any) -> Self:
        """The problem of `code` with everything that the catalogue says of it; `extra` overrides."""
        kind = ERROR_CATALOGUE[code]
        return cls(**{"type": f"urn:torchbridge:error:{code}", "detail": detail, "code": code} | kind._asdict() | extra)


class StartEvent(Sent):
    type: Literal["start"] = "start"
    id: str
    model: str
    model_version: str
    model_digest: str
    prompt_tokens: int
    seed: int | None = Field(
        default=None, description="That the answer is drawn by; the gateway's choice where the request has none."
    )


class DeltaEvent(Sent):
    type: Literal["delta"] = "delta"
    index: int = Field(description="0, 1, 2 … within one stream.")
    text: str
    logprobs: tuple[TokenLogprob, ...] | None = Field(
        default=None, description="Of the tokens since the last delta, where they were asked for."
    )
    tool_calls: tuple[ToolCallDelta, ...] | None = Field(default=None, description="In a chat that has tools.")


class WorkerDelta(DeltaEvent):
    """As a worker tells it the gateway.

    ids: of the answer's tokens since the last delta, for another worker to go on behind them; None with the last delta,
    behind which there is nothing, and from the workers of older archives.
    """

    ids: tuple[Annotated[int, Field(ge=0, lt=2**31)], ...] | None = None


class DoneEvent(Sent):
    type: Literal["done"] = "done"
    response: GenerationResponse


class ErrorEvent(Sent):
    type: Literal["error"] = "error"
    problem: Problem


StreamEvent = Annotated[StartEvent | DeltaEvent | DoneEvent | ErrorEvent, Field(discriminator="type")]
STREAM_EVENT: TypeAdapter[StreamEvent] = TypeAdapter(StreamEvent)
WORKER_EVENT: TypeAdapter[StreamEvent] = TypeAdapter(
    Annotated[StartEvent | WorkerDelta | DoneEvent | ErrorEvent, Field(discriminator="type")]
)


class InvalidItem(NamedTuple):
    """One request of a batch that is not valid: the others do not suffer from it."""

    error: ValidationError


def _or_invalid(value: object, validate: ValidatorFunctionWrapHandler) -> object:
    try:
        return validate(value)
    except ValidationError as error:
        return InvalidItem(error)


# For the document a GenerationRequest and nothing else.
BatchItem = Annotated[
    GenerationRequest | InvalidItem,
    GetPydanticSchema(
        lambda _, handler: core_schema.no_info_wrap_validator_function(
            _or_invalid, handler.generate_schema(GenerationRequest)
        )
    ),
]


class BatchRequest(Received):
    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"requests": [{"prompt": "Once upon a time", "max_length": 100}, {"prompt": "The fox"}]}]
        }
    )

    requests: tuple[BatchItem, ...] = Field(min_length=1, max_length=MAX_BATCH_REQUESTS, strict=False)


class BatchResponse(Sent):
    results: tuple[GenerationResponse | Problem, ...] = Field(
        description="One for each request, in the same order: an answer, or why there is none."
    )


class SamplingDefaults(Sent):
    """What /v1 takes where a request is silent: what the model's authors recommend in generation_config.json."""

    temperature: float = Field(default=1.0, description="1, the model's own distribution, where they say nothing.")
    top_p: float | None = Field(default=None, description="null: no such filter, as with the others.")
    top_k: int | None = None
    repetition_penalty: float | None = None


class ModelVersion(Sent):
    version: str
    is_default: bool
    ready_workers: int
    sampling_defaults: SamplingDefaults = SamplingDefaults()


class Model(Sent):
    name: str
    default_version: str
    versions: tuple[ModelVersion, ...]


class ModelList(Sent):
    models: tuple[Model, ...]


class Health(Sent):
    status: Literal["ok"] = "ok"
