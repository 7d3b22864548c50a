"""TorchServe's description of the one model that is simulated."""

from collections.abc import Sequence

from adapter.errors import ModelNotFound
from adapter.simulator.script import Script
from adapter.torchserve.management_client import ManagementClient, ModelDescription


def description(
    name: str, version: str, *, are_ready: Sequence[bool], slots: int, wanted: int = 1, num_waiting: int = 0
) -> ModelDescription:
    """A description as TorchServe's. are_ready: of each worker; wanted: workers; num_waiting: requests before them."""
    return ModelDescription.model_validate(
        {
            "modelName": name,
            "modelVersion": version,
            "modelUrl": f"{name}-{version}.mar",
            "minWorkers": wanted,
            "maxWorkers": wanted,
            "batchSize": slots,
            "responseTimeout": 120,
            "startupTimeout": 120,
            "workers": [_worker(number, is_ready=is_ready) for number, is_ready in enumerate(are_ready)],
            "jobQueueStatus": {"remainingCapacity": 100, "pendingRequests": num_waiting},
        }
    )


def _worker(number: int, *, is_ready: bool) -> dict[str, object]:
    status = "READY" if is_ready else "UNLOADING"
    return {"id": str(9000 + number), "status": status, "startTime": "", "pid": number}


class SimulatedManagement(ManagementClient):
    def __init__(self, script: Script) -> None:
        self._script = script

    def model_names(self) -> list[str]:
        return [self._script.model]

    def describe(self, name: str) -> list[ModelDescription]:
        if name != self._script.model:
            raise ModelNotFound(f"There is no model {name!r:.130}.")
        return [description(name, self._script.version, are_ready=[True], slots=self._script.slots)]

    def default_version(self, name: str) -> str:
        return self.describe(name)[0].model_version
