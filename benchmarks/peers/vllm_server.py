"""vLLM's CPU build as `vllm serve`: becomes the command.

Its own way to bind threads leaves one core to its front end (VLLM_CPU_NUM_OF_RESERVED_CPU); on two cores that is half
of the machine, and its guide for CPUs says to choose (https://docs.vllm.ai/en/latest/getting_started/installation/cpu).
"""

import os
import sys
from pathlib import Path

from benchmarks.peers.command_line import parse_arguments

_CACHE_GIB = 2  # of keys and values; left out, it would take half of the machine's memory
MODEL_NAME = "model"


def main() -> None:
    arguments = parse_arguments()
    command = [
        str(Path(sys.executable).with_name("vllm")),
        *("serve", str(arguments.model.resolve()), "--served-model-name", MODEL_NAME),
        *("--host", "127.0.0.1", "--port", str(arguments.port)),
    ]
    environment = os.environ | {"VLLM_CPU_KVCACHE_SPACE": str(_CACHE_GIB), "HF_HUB_OFFLINE": "1"}
    if arguments.best:
        environment["VLLM_CPU_OMP_THREADS_BIND"] = f"0-{arguments.threads - 1}"
    os.execve(command[0], command, environment)  # noqa: S606 - our own command


if __name__ == "__main__":
    main()
