"""What all commands share that change a running server: its lock, what they say meanwhile, and their result."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeAlias

from pydantic import Field

from adapter.command_line.result import Interrupted, Result, Seconds, seconds_since
from adapter.process.background_output import background_output, notice
from adapter.versions.recovery import changing
from adapter.versions.running_server import RunningServer
from adapter.versions.server_state import ServerState

Kind: TypeAlias = Literal["deploy", "promote", "rollback", "retire", "scale"]


class VersionChange(Result):
    """What a command shows that changes a version."""

    change: Kind = Field(description="The command.")
    model: str | None = Field(description="The name of the model; null if there was nothing to retire.")
    version: str = Field(description="The version that the command is about.")
    digest: str | None = Field(
        description="The digest of the version's content, which is `model_digest` of its answers; null if there was "
        "nothing to retire."
    )
    is_changed: bool = Field(description="Whether what is served was changed; false if all was so already.")
    default: str | None = Field(description="The model's default version now; null if the model is not served now.")
    default_before: str | None = Field(description="The model's default version before; null if it was not served.")
    workers: int | None = Field(description="The number of the version's workers now; null if it is not deployed now.")
    interrupted: Interrupted
    seconds: Seconds

    def in_words(self) -> str:
        name = f"{self.model} {self.version}"
        if self.model is None:
            return f"{self.version} is not deployed: nothing to do"
        match self.change:
            case "retire":
                return f"{name} is retired"
            case "scale":
                return f"{name} is {'loaded' if self.workers else 'unloaded'}"
            case _:
                return f"{name} is {'the default' if self.default == self.version else 'deployed beside the default'}"


@dataclass(frozen=True)
class Change:
    """A change that is under way. `before`: the server's record when it began, and `began` is of time.monotonic()."""

    server: RunningServer
    before: ServerState
    interrupted: str | None
    began: float

    @property
    def is_changed(self) -> bool:
        return (self.server.state.models, self.server.state.default_model) != (
            self.before.models,
            self.before.default_model,
        )

    def of(self, kind: Kind, model: str | None, version: str) -> VersionChange:
        """Its result, by the server's record now."""
        now, before = (state.models.get(model or "") for state in (self.server.state, self.before))
        deployed, deployed_before = (state.versions.get(version) if state else None for state in (now, before))
        known = deployed or deployed_before
        return VersionChange(
            change=kind,
            model=model,
            version=version,
            digest=known.digest if known else None,
            is_changed=self.is_changed,
            default=now.default if now else None,
            default_before=before.default if before else None,
            workers=deployed.workers if deployed else None,
            interrupted=self.interrupted,
            seconds=seconds_since(self.began),
        )


@contextmanager
def changing_server(run_directory: Path, what: str, *, began: float | None = None) -> Iterator[Change]:
    """The work goes on whether or not anybody reads what it says. `began`: by time.monotonic(), if it has already."""
    began = time.monotonic() if began is None else began
    server = RunningServer(run_directory)
    with background_output(), changing(server, what, notice) as interrupted:
        yield Change(server, server.state, interrupted, began)
