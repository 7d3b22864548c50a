"""Where things lie in the directory that one TorchServe runs in."""

from pathlib import Path


class RunPaths:
    def __init__(self, path: Path) -> None:
        self.path = path.resolve()
        self.lock_file = self.path / "lock"  # held by who runs TorchServe here
        self.config = self.path / "config.properties"
        # TorchServe writes it into its working directory, and that cannot be configured (TokenAuthorization.java:49).
        self.key_file = self.path / "key_file.json"
        self.logs = self.path / "logs"
        self.output = self.logs / "torchserve.out"
        self.worker_log = self.logs / "model_log.log"
        self.previous_logs = self.path / "logs.previous"
        # Not among TorchServe's, which are put aside when it is started again, while the gateway goes on.
        self.gateway_log = self.path / "gateway.log"
        self.compilations = self.path / "compilations"  # how far the workers are (adapter/compilation.py)
        self.temporary = self.path / "tmp"
