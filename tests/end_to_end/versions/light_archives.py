"""Archives with the light handler, which a key has to vouch for, as it is not this installation's code."""

import shutil
from dataclasses import dataclass
from pathlib import Path

from adapter.archives.archive import build_archive
from adapter.archives.signature import sign_file
from adapter.archives.signing_keys import create_key_pair, load_private_key
from adapter.probes import PROBES_ENTRY, Probe, Probes
from tests.adapter.archives.model_files import write_model
from tests.adapter.archives.repacking import Contents, repack

LIGHT_HANDLER = Path(__file__).with_name("light_handler.py").read_text()
CONFIG = """\
minWorkers: 1
maxWorkers: 1
continuousBatching: true
batchSize: 16
maxBatchDelay: 1
jobQueueSize: 32
responseTimeout: 60
startupTimeout: 600
"""


def probes(answer: str) -> bytes:
    recorded = Probe(
        prompt="Once upon",
        prompt_tokens=(1, 2),
        answer=answer,
        answer_tokens=(3,) * len(answer),
        finish_reason="length",
        log_probabilities=(0,) * (len(answer) + 1),
    )
    return Probes(probes=(recorded,)).to_bytes()


@dataclass(frozen=True)
class LightArchives:
    """Makes them in `directory`, all signed with its own key."""

    directory: Path
    name: str = "light"
    config: str = CONFIG

    @property
    def public_key(self) -> Path:
        self._private_key()
        return self.directory / "release.pub"

    def make(self, version: str, *, handler: str = LIGHT_HANDLER, answer: str | None = "xxxx") -> Path:
        """`answer` is what the probe expects; without one there is none."""
        self._private_key()  # whose directory is this one
        place = self.directory / f"{self.name}-{version}"
        shutil.rmtree(place, ignore_errors=True)
        config = self.directory / "model-config.yaml"
        config.write_text(self.config)
        archive = build_archive(write_model(place / "model"), self.name, version, place, config)

        def change(contents: Contents) -> None:
            contents["text_generation.py"] = handler.encode()
            if answer is not None:
                contents[PROBES_ENTRY] = probes(answer)

        repack(archive, change)
        sign_file(archive, load_private_key(self._private_key()))
        return archive

    def _private_key(self) -> Path:
        if not (self.directory / "release.key").exists():
            self.directory.mkdir(parents=True, exist_ok=True)
            create_key_pair(self.directory / "release")
        return self.directory / "release.key"
