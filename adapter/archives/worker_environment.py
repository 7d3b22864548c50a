"""The environment variables of processes that run an archive's code, and of the TorchServe that starts them.

It is an allow list: other variables of this process, API keys and passwords among them, are not passed on.
"""

import re
from collections.abc import Mapping

from adapter.handler_section import COMPILED_STEPS_VARIABLE

# Its value names further variables, between commas.
PASSED_VARIABLE = "TORCHBRIDGE_PASS_ENVIRONMENT"

_ALLOWED = re.compile(
    # The user, the machine's programs and libraries (an allocator by LD_PRELOAD), places for files.
    r"PATH|HOME|USER|LOGNAME|LANG|TZ|LD_LIBRARY_PATH|LD_PRELOAD|TMPDIR|XDG_CACHE_HOME|HF_HOME"
    # Compilers, for `torchbridge compile` and torch.compile.
    r"|CC|CXX|CXXFLAGS|LDFLAGS"
    # The variables of torch, its libraries and its devices.
    r"|(ATEN|CUBLAS|CUDA|CUDNN|DNNL|ONEDNN|GOMP|GPU|HIP|HSA|ROCR|KMP|MALLOC|MKL|NCCL|NVIDIA|OMP|OPENBLAS)_\w+"
    r"|(PYTORCH|SAFETENSORS|TOKENIZERS|TORCH|TORCHINDUCTOR|TRITON)_\w+"
)
# The same words as in config.properties: NVIDIA_API_KEY is the key of a service.
_SECRET = re.compile(r"(?i).*(_KEY|APIKEY|_TOKEN|SECRET|PASSWORD|PASSWD|CREDENTIAL).*")
# Ours hold keys and passwords, TorchServe's would change it behind our configuration's back, and Python's say what a
# worker imports.
_RESERVED = re.compile(r"TORCHBRIDGE_.*|TS_.*|SM_TELEMETRY_LOG|PYTHON.*")


class EnvironmentRefused(ValueError):
    """A variable is to be passed on that must not be."""


def worker_environment(environment: Mapping[str, str]) -> dict[str, str]:
    """The variables of `environment` that a worker gets. Raises EnvironmentRefused."""
    named = {name.strip() for name in environment.get(PASSED_VARIABLE, "").split(",")} - {""}
    if reserved := sorted(name for name in named if _RESERVED.fullmatch(name)):
        raise EnvironmentRefused(f"{PASSED_VARIABLE} names {reserved[0]}, which workers never get.")
    passed = named | {COMPILED_STEPS_VARIABLE}
    return {name: value for name, value in environment.items() if name in passed or _is_allowed(name)}


def _is_allowed(name: str) -> bool:
    return _ALLOWED.fullmatch(name) is not None and _SECRET.fullmatch(name) is None
