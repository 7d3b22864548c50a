"""What TorchServe would say of the one model that is simulated."""

from adapter.errors import ModelNotFound
from adapter.simulator.script import Script
from adapter.torchserve.management_client import ManagementClient, ModelDescription


class SimulatedManagement(ManagementClient):
    def __init__(self, script: Script) -> None:
        self._script = script

    def model_names(self) -> list[str]:
        return [self._script.model]

    def describe(self, name: str) -> list[ModelDescription]:
        if name != self._script.model:
            raise ModelNotFound(f"There is no model {name!r:.130}.")
        description = {
            "modelName": name,
            "modelVersion": self._script.version,
            "modelUrl": f"{name}-{self._script.version}.mar",
            "minWorkers": 1,
            "maxWorkers": 1,
            "batchSize": self._script.slots,
            "responseTimeout": 120,
            "startupTimeout": 120,
            "workers": [{"id": "9000", "status": "READY", "startTime": "", "pid": 1}],
            "jobQueueStatus": {"remainingCapacity": 100, "pendingRequests": 0},
        }
        return [ModelDescription.model_validate(description)]

    def default_version(self, name: str) -> str:
        return self.describe(name)[0].model_version
