"""What `torchbridge top` measures of a server, on one in memory."""

from pathlib import Path

import pytest

from adapter.generation.metrics import Metrics
from adapter.top.measurement import Measurement
from tests.adapter.versions.fake_server import Clock, FakeServer


def test_a_worker_that_is_started_again_has_no_memory_yet(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """TorchServe says -1 for the process of a worker that it has just begun to start."""
    server = FakeServer(tmp_path / "run", Clock())
    server.serve("1.0")
    metrics = Metrics(lambda: 0, lambda: 0)
    monkeypatch.setattr(type(server.gateway), "metrics", lambda _: metrics.render().decode(), raising=False)
    describe = server.management.describe

    def describe_anew(name: str) -> object:
        worker = {"pid": -1, "status": "UNLOADING"}
        return [
            each.model_copy(update={"workers": tuple(one.model_copy(update=worker) for one in each.workers)})
            for each in describe(name)
        ]

    monkeypatch.setattr(server.management, "describe", describe_anew)
    [row] = Measurement(server).rows()
    assert row.worker_memory_bytes in {None, 0}
