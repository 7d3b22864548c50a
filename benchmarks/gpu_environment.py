"""Runs a command in an environment over the machine's own Python, with the wheels that were carried along in `.gpu`.

    python3 -m benchmarks.gpu_environment -m benchmarks.gpu --output "$OUT"

For a machine with a GPU and without a network, whose own torch is used as it is: `make gpu-wheels` fills `.gpu` before,
on one with a network. Its two halves can be carried one after the other. Without the first one, which holds TorchServe
and our transformers, the bare engine is measured with the machine's transformers, and the page says what was left out.
This needs nothing but the standard library and pip.
"""

import os
import subprocess
import sys
import sysconfig
import tempfile
import venv
from pathlib import Path

WHEELS = Path(__file__).parents[1] / ".gpu"


def environment(directory: Path) -> Path:
    """Its Python, which sees what this one has, and before it the wheels."""
    venv.create(directory, with_pip=False)
    python = directory / "bin" / "python"
    site = next((directory / "lib").glob("python*")) / "site-packages"
    # Not by venv's own `system_site_packages`: this Python may be one of an environment, and not of the system.
    site.joinpath("machine.pth").write_text(sysconfig.get_path("purelib") + "\n", encoding="utf-8")
    if wheels := sorted(map(str, WHEELS.rglob("*.whl"))):
        pip = [sys.executable, "-m", "pip", "--python", str(python), "install", "-q", "--no-index", "--no-deps"]
        subprocess.run([*pip, "--no-compile", *wheels], check=True)  # noqa: S603 - our own command
    return python


def main() -> None:
    python = environment(Path(tempfile.mkdtemp(prefix="torchbridge-gpu-")))
    os.execv(python, [str(python), *sys.argv[1:]])  # noqa: S606 - our own command


if __name__ == "__main__":
    main()
