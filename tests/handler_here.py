"""The handler's own commands in this process: to import torch takes one of their own five seconds."""

import importlib
import subprocess
from contextlib import redirect_stderr, redirect_stdout
from io import BytesIO, StringIO, TextIOWrapper
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from adapter.archives import handler_process
from adapter.archives.model_check import check_model
from adapter.probes import Probes


def check_model_here(directory: Path, config: Path, *warn: Any) -> Probes:
    """As check_model."""
    with pytest.MonkeyPatch.context() as patch:
        run_handlers_here(patch)
        return check_model(directory, config, *warn)


def run_handlers_here(patch: pytest.MonkeyPatch) -> None:
    """What the adapter runs is `main` of its module, as long as the patch lasts."""
    patch.setattr(handler_process, "subprocess", SimpleNamespace(run=_run))


def _run(command: list[str], **_: object) -> subprocess.CompletedProcess[bytes]:
    _, _, module, *arguments = command
    printed, said = TextIOWrapper(BytesIO(), "utf-8"), StringIO()
    status = 0
    with redirect_stdout(printed), redirect_stderr(said):
        try:
            importlib.import_module(module).main(*arguments)
        except SystemExit as end:
            status = 1
            said.write(f"{end.code}\n")
    printed.flush()
    return subprocess.CompletedProcess(command, status, printed.buffer.getvalue(), said.getvalue().encode())
