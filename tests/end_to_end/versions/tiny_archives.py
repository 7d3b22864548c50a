"""models/tiny in archives as `torchbridge pack` makes them: nobody has signed them, and their code is ours."""

from dataclasses import dataclass
from functools import cache
from pathlib import Path

from adapter.archives.archive import build_archive
from adapter.probes import Probes
from tests.handler_here import check_model_here
from tests.project import PROJECT

TINY = PROJECT / "models" / "tiny"


@cache
def probes(model: Path, config: Path) -> Probes:
    return check_model_here(model, config)


@dataclass(frozen=True)
class TinyArchives:
    directory: Path
    name: str = "tiny"
    public_key: None = None

    def make(self, version: str) -> Path:
        return build_archive(TINY, self.name, version, self.directory, check=probes)
