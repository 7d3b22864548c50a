"""What a compilation leaves that is stopped, or does not fit. What it makes is tested end to end."""

import errno
import os
import signal
from pathlib import Path

import pytest

from adapter.archives import step_compilation
from adapter.archives.handler_process import HandlerProcessError
from adapter.durable.disk_space import DiskFull
from adapter.process.stop_signals import Stopped
from tests.adapter.versions.fake_server import make_archive


@pytest.mark.parametrize(
    ("failure", "raised"),
    [
        pytest.param(Stopped(signal.SIGTERM), Stopped, id="SIGTERM"),
        pytest.param(HandlerProcessError(f"OSError: {os.strerror(errno.ENOSPC)}"), DiskFull, id="full disk"),
    ],
)
def test_what_is_half_compiled_goes_with_whoever_has_it_compiled(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, failure: BaseException, raised: type[BaseException]
) -> None:
    half = []

    def compile_half(_module: str, _unpacked: str, compiled_steps: str, scratch: str) -> None:
        half.append(Path(scratch) / "step.so")
        half[0].write_bytes(b"half")
        assert half[0].is_relative_to(compiled_steps)
        raise failure

    monkeypatch.setattr(step_compilation, "run_handler", compile_half)
    (tmp_path / "compiled_steps").mkdir()
    (tmp_path / "compiled_steps" / "another").mkdir()
    with pytest.raises(raised):
        step_compilation.compile_steps(make_archive(tmp_path, "1.0"), tmp_path / "compiled_steps")
    assert half
    assert [each.name for each in (tmp_path / "compiled_steps").iterdir()] == ["another"]
