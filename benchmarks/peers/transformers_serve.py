"""`transformers serve` with continuous batching: becomes the command."""

import os
import sys
from pathlib import Path

from benchmarks.peers.command_line import parse_arguments

# Left out, both are taken from the memory of a GPU. A block holds 256 tokens of one request.
_BLOCKS = 128
_BATCH_TOKENS = 256


def main() -> None:
    arguments = parse_arguments()
    command = [
        str(Path(sys.executable).with_name("transformers")),
        *("serve", str(arguments.model.resolve()), "--continuous-batching"),
        *("--device", "cpu", "--attn-implementation", "sdpa"),
        *("--cb-num-blocks", str(_BLOCKS), "--cb-max-batch-tokens", str(_BATCH_TOKENS)),
        *("--host", "127.0.0.1", "--port", str(arguments.port)),
    ]
    environment = os.environ | {"OMP_NUM_THREADS": str(arguments.threads), "HF_HUB_OFFLINE": "1"}
    os.execve(command[0], command, environment)  # noqa: S606 - our own command


if __name__ == "__main__":
    main()
