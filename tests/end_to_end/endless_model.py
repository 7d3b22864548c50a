"""models/tiny without an end: no stop token and a long context, so that a test decides when an answer ends."""

import json
import shutil
from pathlib import Path

CONTEXT_LENGTH = 32_768


def model_config(*, slots: int = 2, num_queued: int = 4, context_length: int = CONTEXT_LENGTH) -> str:
    """num_queued: requests that may wait in TorchServe. context_length: tokens."""
    return f"""\
minWorkers: 1
maxWorkers: 1
continuousBatching: true
batchSize: {slots}
maxBatchDelay: 1
jobQueueSize: {num_queued}
responseTimeout: 60
startupTimeout: 600
handler:
  context_length: {context_length}
  threads: 1
"""


def write_endless_model(tiny: Path, directory: Path) -> None:
    shutil.copytree(tiny, directory)
    _change(directory / "config.json", max_position_embeddings=CONTEXT_LENGTH, eos_token_id=None)
    _change(directory / "generation_config.json", eos_token_id=None)
    _change(directory / "tokenizer_config.json", eos_token=None)


def _change(path: Path, **values: object) -> None:
    path.write_text(json.dumps(json.loads(path.read_text()) | values))
