"""What a gateway sends."""

from adapter.client import GenerationFields
from adapter.schema import DeltaEvent, DoneEvent, ErrorCode, GenerationResponse, Problem, StartEvent

RESPONSE = GenerationResponse(
    text="Grüße, 世界 👩‍🚀!",
    tokens_generated=2,
    generation_time=0.25,
    id="4b1f",
    model="tiny",
    model_version="1.0",
    model_digest="9f86d0",
    finish_reason="stop",
    prompt_tokens=3,
    queue_time=0.01,
    time_to_first_token=0.05,
)
PROBLEM = Problem.of(ErrorCode.OVERLOADED, "64 requests are already waiting", request_id="4b1f", retry_after=7)
START = StartEvent(id="4b1f", model="tiny", model_version="1.0", model_digest="9f86d0", prompt_tokens=3)
DELTAS = [DeltaEvent(index=0, text="Grüße, 世界"), DeltaEvent(index=1, text=" 👩‍🚀!")]
WHOLE_STREAM = [START, *DELTAS, DoneEvent(response=RESPONSE)]
REQUEST: GenerationFields = {"prompt": "Hello"}
NEWER = RESPONSE.model_dump() | {"field_of_a_newer_gateway": 1}
NEWER_PROBLEM = PROBLEM.model_dump() | {"type": "urn:torchbridge:error:moon", "code": "moon", "status": 409}
