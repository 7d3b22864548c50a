"""What `status` and `list` show."""

import json
import signal
from pathlib import Path
from types import SimpleNamespace

import pytest

from adapter.process.stop_signals import Stopped
from adapter.versions import lifecycle
from tests.adapter.commands.conftest import Run, Said
from tests.adapter.versions.fake_server import FakeServer, make_archive


def test_status_for_programs_is_json(server: FakeServer, run: Run, said: Said) -> None:
    assert run("status", "--json") == 0
    first, second = json.loads(said())
    assert (first["version"], first["is_previous"], first["ready_workers"]) == ("1.0", True, 1)
    assert (second["version"], second["is_default"], second["archive"]) == ("2.0", True, "tiny-2.0.mar")
    assert second["digest"] == server.state.models["tiny"].versions["2.0"].digest


@pytest.mark.usefixtures("server")
def test_status_for_people_is_a_line_each(run: Run, said: Said) -> None:
    assert run("status") == 0
    assert [line.split()[:3] for line in said().splitlines()] == [
        ["model", "version", "role"],
        ["tiny", "1.0", "previous"],
        ["tiny", "2.0", "default"],
    ]


def test_status_can_be_watched(server: FakeServer, run: Run, said: Said, monkeypatch: pytest.MonkeyPatch) -> None:
    def retire_then_stop(seconds: float) -> None:
        if server.recorded() == ["2.0"]:
            raise Stopped(signal.SIGINT)
        assert seconds == 2
        lifecycle.retire(server, "tiny", "1.0", 1)  # type: ignore[arg-type]

    monkeypatch.setattr("adapter.commands.status.time", SimpleNamespace(sleep=retire_then_stop))
    assert run("status", "--watch", "2") == 0
    assert [line.split()[1] for line in said().splitlines()] == ["version", "1.0", "2.0", "version", "2.0"]


def test_list_for_programs_is_json_also_while_no_server_runs(tmp_path: Path, run: Run, said: Said) -> None:
    archive = make_archive(tmp_path / "run" / "model_store", "1.0")
    assert run("list", "--json") == 0
    (listed,) = json.loads(said())
    assert (listed["archive"], listed["size"], listed["is_deployed"]) == ("tiny-1.0.mar", archive.stat().st_size, False)


def test_list_for_people_is_a_line_each(server: FakeServer, run: Run, said: Said) -> None:
    server.put_into_store("3.0")
    assert run("list") == 0
    lines = [line.split() for line in said().splitlines()]
    assert [(line[0], line[-1]) for line in lines[1:3]] == [("tiny-1.0.mar", "deployed"), ("tiny-2.0.mar", "default")]
    assert lines[3][0] == "tiny-3.0.mar"
