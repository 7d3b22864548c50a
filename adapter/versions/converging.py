"""A server is brought to a desired state, action by action: by `apply`, by a file that changed, by a rollout."""

from dataclasses import dataclass
from pathlib import Path

from adapter.archives.progress import Reporter, progress_bar
from adapter.versions.changes import Report
from adapter.versions.deployment import DeploymentOptions
from adapter.versions.desired_state import DesiredState, local_archives, verify_desired
from adapter.versions.plan import plan
from adapter.versions.recovery import changing
from adapter.versions.required_key import required_key
from adapter.versions.running_server import RunningServer


@dataclass(frozen=True)
class Converged:
    """actions: what was done, in this order. interrupted: how another command's change was ended first, if one was."""

    actions: list[str]
    interrupted: str | None


def converge(
    server: RunningServer,
    desired: DesiredState,
    what: str,
    report: Report,
    *,
    progress: Reporter = progress_bar,
    key: Path | None = None,
    keeps_others: bool = False,
) -> Converged:
    """All archives are verified first, and each action is in the journal.

    `what` is said to others while it has the server's lock. Raises ServerBusy, and what a deployment raises.
    """
    with (
        local_archives(desired, server.files, required_key(server.files, key), report, progress) as local,
        changing(server, what, report) as interrupted,
    ):
        verify_desired(local, required_key(server.files, key))
        actions = plan(server.state, local, keeps_others=keeps_others)
        options = DeploymentOptions(key, load_timeout=server.settings.load_timeout)
        for action in actions:
            report(action.description)
            action.carry_out(server, options, lambda line: report(f"  {line}"))
    return Converged([action.description for action in actions], interrupted)
