"""Archives of models/tiny as `torchbridge pack` makes them, signed, so that light ones may stand beside them."""

import subprocess
from pathlib import Path

from tests.end_to_end.load_balancer.hosts import PROGRAM
from tests.end_to_end.versions.light_archives import LIGHT_HANDLER, LightArchives
from tests.project import PROJECT


class TinyArchives(LightArchives):
    def make(self, version: str, *, handler: str = LIGHT_HANDLER, answer: str | None = "xxxx") -> Path:
        """Of the model; a light one, if `handler` is one that a test has made to fail."""
        if handler != LIGHT_HANDLER:
            return super().make(version, handler=handler, answer=answer)
        command = [PROGRAM, "pack", str(PROJECT / "models" / "tiny"), "--name", self.name, "--version", version]
        command += ["--output", str(self.directory), "--sign", str(self._private_key())]
        subprocess.run(command, check=True, capture_output=True, timeout=600)
        return self.directory / f"{self.name}-{version}.mar"
