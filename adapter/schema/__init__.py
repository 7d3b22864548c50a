"""The wire contract: requests, responses, stream events and problems.

openapi.json, the TypeScript types, the gateway's validation and the handler's events all come from this package.
It is also packed into every archive, so it knows nothing of HTTP servers, TorchServe or torch.
"""

from adapter.names import NAME_PATTERN, Name
from adapter.schema.batches import MAX_BATCH_REQUESTS, BatchItem, BatchRequest, BatchResponse, InvalidItem
from adapter.schema.generation_request import (
    CONTRACT_VERSION,
    MAX_LENGTH,
    MAX_PROMPT_CHARACTERS,
    MAX_SEED,
    ChatGenerationRequest,
    ChatMessage,
    GenerationRequest,
    WorkerRequest,
)
from adapter.schema.generation_response import (
    FinishReason,
    GenerationResponse,
    PromptLogprob,
    TokenLogprob,
    TokenText,
    TopLogprob,
)
from adapter.schema.problems import ERROR_CATALOGUE, ErrorCode, FieldError, Problem
from adapter.schema.served_models import Health, Model, ModelList, ModelVersion, SamplingDefaults
from adapter.schema.stop_strings import as_list
from adapter.schema.stream_events import (
    STREAM_EVENT,
    WORKER_EVENT,
    DeltaEvent,
    DoneEvent,
    ErrorEvent,
    StartEvent,
    StreamEvent,
    WorkerDelta,
)

__all__ = [
    "CONTRACT_VERSION",
    "ERROR_CATALOGUE",
    "MAX_BATCH_REQUESTS",
    "MAX_LENGTH",
    "MAX_PROMPT_CHARACTERS",
    "MAX_SEED",
    "NAME_PATTERN",
    "STREAM_EVENT",
    "WORKER_EVENT",
    "BatchItem",
    "BatchRequest",
    "BatchResponse",
    "ChatGenerationRequest",
    "ChatMessage",
    "DeltaEvent",
    "DoneEvent",
    "ErrorCode",
    "ErrorEvent",
    "FieldError",
    "FinishReason",
    "GenerationRequest",
    "GenerationResponse",
    "Health",
    "InvalidItem",
    "Model",
    "ModelList",
    "ModelVersion",
    "Name",
    "Problem",
    "PromptLogprob",
    "SamplingDefaults",
    "StartEvent",
    "StreamEvent",
    "TokenLogprob",
    "TokenText",
    "TopLogprob",
    "WorkerDelta",
    "WorkerRequest",
    "as_list",
]
