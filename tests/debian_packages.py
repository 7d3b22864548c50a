"""Programs that tests need and Debian has, where they are not there yet."""

import fcntl
import os
import shutil
import subprocess
import tempfile
from pathlib import Path

# /usr/sbin is not on every user's PATH.
_PATH = os.pathsep.join((os.environ["PATH"], "/usr/sbin"))
_LOCK = Path(tempfile.gettempdir()) / "torchbridge-apt.lock"


def installed_program(name: str, *packages: str) -> str | None:
    """Its path, from `packages` if need be; None where there is none, and none can be had.

    Two processes of tests may want something at once, and apt takes one.
    """
    with _LOCK.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if _found(name) is None and os.geteuid() == 0 and shutil.which("apt-get"):
            for command in (["update"], ["install", "-y", "--no-install-recommends", *packages]):
                subprocess.run(["apt-get", "-qq", *command], check=True, timeout=900)
    return _found(name)


def _found(name: str) -> str | None:
    return shutil.which(name, path=_PATH)
