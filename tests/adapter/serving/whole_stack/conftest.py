import contextlib
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest

from adapter.serving import whole_stack
from tests.adapter.fake_torchserve import fake_torchserve


@pytest.fixture(autouse=True)
def nothing_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(whole_stack, "TorchServeProcess", fake_torchserve)
    monkeypatch.setattr(whole_stack, "check_torchserve_ports", lambda _: None)
    monkeypatch.setattr(whole_stack, "restore_others", lambda *_: None)


@pytest.fixture
def served(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """What TorchServe is started with."""
    archives: list[Path] = []

    @contextlib.contextmanager
    def noting_torchserve(*_: object, **__: object) -> Iterator[SimpleNamespace]:
        with fake_torchserve() as torchserve:
            torchserve.start = archives.extend
            yield torchserve

    monkeypatch.setattr(whole_stack, "TorchServeProcess", noting_torchserve)
    return archives
