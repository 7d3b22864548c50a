"""What a request leaves out, where the model's authors have the say and not our own contract: on /v1."""

from adapter.call import Call
from adapter.schema import GenerationRequest
from adapter.torchserve.served_models import PinnedVersion


def with_model_defaults(request: GenerationRequest, call: Call, pinned: PinnedVersion) -> GenerationRequest:
    """A parameter that the request sets to None is said: its caller wants none of it."""
    if not call.uses_model_defaults:
        return request
    left_out = {name: value for name, value in pinned.archive.sampling_defaults if name not in request.model_fields_set}
    return request.model_copy(update=left_out)
