"""The versions for a report of a fault: ours, and those of the packages that we stand on."""

import platform
from functools import cache
from importlib.metadata import PackageNotFoundError, version

_PACKAGES = ("torchbridge", "torch", "transformers", "torchserve")


def installed_versions() -> dict[str, str]:
    """Read from the packages' own records: importing torch would take seconds."""
    return {package: installed_version(package) for package in _PACKAGES} | {"python": platform.python_version()}


@cache
def installed_version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed"
