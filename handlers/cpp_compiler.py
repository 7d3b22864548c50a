"""The C++ compiler that inductor would use."""

import os
import subprocess

_PATIENCE = 10  # seconds; it takes milliseconds


def compiler() -> str:
    """The compiler as inductor finds it (torch/_inductor/config.py, cpp.cxx)."""
    return os.environ.get("CXX") or "g++"


def compiler_version() -> str:
    """The first line that it says of itself; empty where it says nothing."""
    try:
        said = subprocess.run(  # noqa: S603 - the user's own
            [compiler(), "--version"], capture_output=True, text=True, errors="replace", timeout=_PATIENCE, check=False
        ).stdout
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return said.partition("\n")[0]
