"""TorchServe's description of the models that are simulated."""

from collections.abc import Sequence

from adapter.schema import ErrorCode
from adapter.simulator.torchserve_failures import torchserve_failure
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
            "maxRetryTimeoutInSec": 300,
            "workers": [_worker(number, is_ready=is_ready) for number, is_ready in enumerate(are_ready)],
            "jobQueueStatus": {"remainingCapacity": 100, "pendingRequests": num_waiting},
        }
    )


def _worker(number: int, *, is_ready: bool) -> dict[str, object]:
    status = "READY" if is_ready else "UNLOADING"
    return {"id": str(9000 + number), "status": status, "startTime": "", "pid": number}


class SimulatedManagement(ManagementClient):
    """served: {model: {version: workers, all of them ready}}. A model's first version is its default."""

    def __init__(self, served: dict[str, dict[str, int]], slots: int) -> None:
        self.served, self.slots = served, slots

    def model_names(self) -> list[str]:
        return list(self.served)

    def describe(self, name: str) -> list[ModelDescription]:
        return [
            description(name, version, are_ready=[True] * workers, slots=self.slots)
            for version, workers in self._versions(name).items()
        ]

    def default_version(self, name: str) -> str:
        return next(iter(self._versions(name)))

    def _versions(self, name: str) -> dict[str, int]:
        if versions := self.served.get(name):
            return versions
        raise torchserve_failure(ErrorCode.MODEL_NOT_FOUND, name, "")
