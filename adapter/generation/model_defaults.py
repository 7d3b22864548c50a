"""Defaults of the model's authors, in place of our contract's, for what a request leaves out: on /v1."""

from adapter.call import Call
from adapter.schema import GenerationRequest
from adapter.torchserve.served_models import PinnedVersion


def with_model_defaults(request: GenerationRequest, call: Call, pinned: PinnedVersion) -> GenerationRequest:
    """A parameter that the request sets to None stays None: its caller wants it off."""
    if not call.uses_model_defaults:
        return request
    left_out = {name: value for name, value in pinned.archive.sampling_defaults if name not in request.model_fields_set}
    return request.model_copy(update=left_out)
