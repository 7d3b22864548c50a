"""The files that this installation came with, and the places of those that it makes.

In a checkout all of that lies in its root. Installed as a package, what it came with lies beside the code, and what it
makes in the user's own directories: archives where the command is given, and what servers keep in the user's state.
"""

from pathlib import Path
from typing import NamedTuple

CODE = Path(__file__).resolve().parents[1]  # where `adapter` and `handlers` are
PACKAGED = "torchbridge/shipped"  # in the wheel (pyproject.toml)


class Installation(NamedTuple):
    """shipped: config.properties and models/. state: of servers, and of what they compiled. archives: of `pack`."""

    shipped: Path
    state: Path
    archives: Path


def installation_in(code: Path) -> Installation:
    if (code / "pyproject.toml").exists():
        return Installation(shipped=code, state=code / ".torchbridge", archives=code / "model_store")
    from platformdirs import user_state_path  # noqa: PLC0415 - a checkout has no use for it

    return Installation(shipped=code / PACKAGED, state=user_state_path("torchbridge"), archives=Path("model_store"))


INSTALLATION = installation_in(CODE)
COMPILED_STEPS = INSTALLATION.state / "compiled_steps"
