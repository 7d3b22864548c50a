"""How TorchServe 0.12.0 says that a request failed before its first event, word for word.

tests/fixtures/torchserve has these answers as they came over the wire. A test holds this to them.
"""

import json
from collections.abc import Mapping
from typing import NamedTuple

from adapter.errors import TorchbridgeError
from adapter.schema import ErrorCode
from adapter.torchserve.error_answers import error_from_answer


class TorchServeFailure(NamedTuple):
    """kind: the `type` of its answer. message: with the places of the model's name and version."""

    status: int
    kind: str
    message: str

    def body(self, model: str, version: str) -> bytes:
        """As ErrorResponse.java is written."""
        message = self.message.format(model=model, version=version)
        return json.dumps({"code": self.status, "type": self.kind, "message": message}, indent=2).encode() + b"\n"


# By what the gateway takes them for. Of what is not here TorchServe has no word of its own.
TORCHSERVE_FAILURES: Mapping[ErrorCode, TorchServeFailure] = {
    ErrorCode.MODEL_NOT_FOUND: TorchServeFailure(404, "ModelNotFoundException", "Model not found: {model}"),
    ErrorCode.VERSION_NOT_FOUND: TorchServeFailure(
        404, "ModelVersionNotFoundException", "Model version: {version} does not exist for model: {model}"
    ),
    ErrorCode.WORKER_DIED: TorchServeFailure(500, "InternalServerException", "Worker died."),
    ErrorCode.GENERATION_FAILED: TorchServeFailure(503, "InternalServerException", "Prediction failed"),
    ErrorCode.OVERLOADED: TorchServeFailure(
        503,
        "ServiceUnavailableException",
        'Model "{model}" Version {version}" has no worker to serve inference request. Please use scale workers API to '
        "add workers. If this is a sequence inference, please check if it is closed, or expired; or exceeds "
        "maxSequenceJobQueueSize",
    ),
    ErrorCode.OUT_OF_MEMORY: TorchServeFailure(507, "InternalServerException", "Out of resources"),
}


def torchserve_failure(code: ErrorCode, model: str, version: str) -> TorchbridgeError:
    """What the gateway makes of it. Raises KeyError for what TorchServe does not say."""
    said = TORCHSERVE_FAILURES[code]
    return error_from_answer(said.status, said.body(model, version))
