"""What a worker says of its compiled steps, as another process reads it."""

from pathlib import Path

import pytest

from adapter.compilation import Compilation, CompilationState


def test_what_is_read_is_what_was_said_last(tmp_path: Path) -> None:
    last = Compilation(state=CompilationState.NOT_COMPILED, reason="there is no C++ compiler (g++)")
    Compilation(state=CompilationState.WAITING).write(tmp_path, "tiny", "1.0")
    last.write(tmp_path, "tiny", "1.0")

    assert Compilation.read(tmp_path, "tiny", "1.0") == last


def test_what_is_forgotten_was_never_said(tmp_path: Path) -> None:
    Compilation.forget(tmp_path, "tiny", "1.0")
    Compilation(state=CompilationState.COMPILED).write(tmp_path, "tiny", "1.0")
    Compilation.forget(tmp_path, "tiny", "1.0")

    assert Compilation.read(tmp_path, "tiny", "1.0") is None


@pytest.mark.parametrize("content", [None, b"", b'{"state": "burning"}', b"\xff"])
def test_where_nothing_was_said_that_can_be_read_nothing_is_known(tmp_path: Path, content: bytes | None) -> None:
    if content is not None:
        (tmp_path / "tiny").mkdir()
        (tmp_path / "tiny" / "1.0.json").write_bytes(content)

    assert Compilation.read(tmp_path, "tiny", "1.0") is None


@pytest.mark.parametrize(
    ("state", "is_settled"),
    [
        (CompilationState.WAITING, False),
        (CompilationState.COMPILING, False),
        (CompilationState.COMPILED, True),
        (CompilationState.NOT_COMPILED, True),
    ],
)
def test_it_is_settled_where_the_worker_will_say_nothing_else(state: CompilationState, *, is_settled: bool) -> None:
    assert Compilation(state=state).is_settled is is_settled
