"""Completes models and versions in a shell, from the record of the server that the command line names."""

from pathlib import Path
from typing import Any

from adapter.installation import INSTALLATION
from adapter.version_order import version_order


def deployed_versions(ctx: Any, incomplete: str) -> list[str]:
    models = _models(ctx)
    chosen = ctx.params.get("model")
    versions = {version for name, model in models.items() if chosen in {None, name} for version in model.versions}
    return sorted((each for each in versions if each.startswith(incomplete)), key=version_order)


def deployed_models(ctx: Any, incomplete: str) -> list[str]:
    return sorted(each for each in _models(ctx) if each.startswith(incomplete))


def _models(ctx: Any) -> Any:
    """The models in the server's record, whether it runs or not. The shell gets no failure."""
    from adapter.versions.server_files import ServerFiles  # noqa: PLC0415 - only a shell that completes needs it
    from adapter.versions.server_state import ServerState  # noqa: PLC0415

    directory = Path(ctx.params.get("run_directory") or INSTALLATION.state)
    try:
        state = ServerState.read(ServerFiles(directory).state)
    except Exception:  # noqa: BLE001 - whatever it is, there is nothing to offer
        return {}
    return state.models if state else {}
