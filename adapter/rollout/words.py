"""What `torchbridge rollout status` says."""

from collections.abc import Iterator
from datetime import datetime

from adapter.rollout.journal import HostProgress, Rollout, Stage

_HINTS = {
    Stage.ROLLING_OUT: "The same command goes on, torchbridge rollout abort goes back.",
    Stage.DONE: "torchbridge rollout abort goes back, rollout finish takes away what it has replaced.",
    Stage.ABORTING: "torchbridge rollout abort goes on.",
    Stage.FINISHING: "torchbridge rollout finish goes on.",
}


def in_words(rollout: Rollout, now: datetime) -> Iterator[str]:
    """A line for the whole, one for each host, and what may be done next."""
    versions = ", ".join(f"{name} {model.default}" for name, model in rollout.begun.desired.models.items())
    seconds = (now - rollout.begun_at).total_seconds()
    yield f"{versions}: {rollout.stage} (begun {seconds:.0f} seconds ago)"
    for name in rollout.begun.hosts:
        yield f"  {name}: {_host_in_words(rollout.hosts.get(name))}"
    if hint := _HINTS.get(rollout.stage):
        yield hint


def _host_in_words(progress: HostProgress | None) -> str:
    if progress is None:
        return "as before"
    reason = f": {progress.reason}" if progress.reason else ""
    return f"{progress.stage}, {progress.step}{reason}"
