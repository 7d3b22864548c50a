"""What the commands show that begin and abort a canary."""

from pydantic import Field

from adapter.command_line.result import Interrupted, Result, Seconds
from adapter.versions.canary import Verdict

_WATCHED = "The server watches it: torchbridge canary status shows how far it is, canary abort ends it."


class CanaryResult(Result):
    """What `canary begin` shows."""

    model: str = Field(description="The name of the model.")
    version: str = Field(description="The version that was tried, or is.")
    default: str = Field(description="The model's default version now.")
    verdict: Verdict | None = Field(description="The verdict; null with `--no-wait`.")
    is_promoted: bool = Field(description="Whether the version was made the default.")
    reason: str = Field(description="The verdict in words; with `--no-wait`, what it takes to promote the version.")
    interrupted: Interrupted
    seconds: Seconds

    def in_words(self) -> str:
        return self.reason if self.verdict else f"{self.reason}\n{_WATCHED}"


class AbortedCanary(Result):
    """What `canary abort` shows."""

    model: str | None = Field(description="The name of the model; null if no canary ran.")
    version: str | None = Field(description="The version that was tried; null if no canary ran.")
    default: str | None = Field(description="The version that answers all requests now; null if no canary ran.")
    seconds: Seconds

    def in_words(self) -> str:
        if self.model is None:
            return "no canary runs: nothing to do"
        return f"the canary of {self.model} {self.version} is aborted: {self.default} answers all requests"
