"""What a worker says before its end is read before it ends."""

import os
import select
import subprocess
import sys
from pathlib import Path
from typing import Self

import pytest

from handlers import text_generation
from tests.handlers.fake_frontend import FakeFrontend

# It says where it is over a pipe of its own, which is not waited for.
PROGRAM = """
import os, sys
from handlers import last_words

last_words._LONGEST_WAIT = float(sys.argv[2])
print("why it ends", file=getattr(sys, sys.argv[3]))
os.write(int(sys.argv[1]), b"said\\n")
last_words.wait_until_read()
os.write(int(sys.argv[1]), b"waited\\n")
"""


class Worker:
    def __init__(self, longest_wait: float, stream: str = "stderr") -> None:
        self.told, writer = os.pipe()
        arguments = [str(writer), str(longest_wait), stream]
        self.process = subprocess.Popen(
            [sys.executable, "-c", PROGRAM, *arguments],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            pass_fds=[writer],
        )
        os.close(writer)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self.told)
        with self.process:
            self.process.kill()

    def output(self, stream: str) -> int:
        pipe = getattr(self.process, stream)
        assert pipe is not None
        return int(pipe.fileno())


@pytest.mark.parametrize("stream", ["stdout", "stderr"])
def test_a_worker_does_not_end_before_its_last_words_are_read(stream: str) -> None:
    with Worker(3_600, stream) as worker:
        assert os.read(worker.told, 100) == b"said\n"
        assert select.select([worker.told], [], [], 0.5)[0] == []
        assert os.read(worker.output(stream), 100) == b"why it ends\n"
        assert os.read(worker.told, 100) == b"waited\n"


def test_it_ends_although_nobody_reads() -> None:
    with Worker(0.1) as worker:
        assert os.read(worker.told, 100) == b"said\n"
        assert os.read(worker.told, 100) == b"waited\n"


def test_it_does_not_wait_for_what_is_no_pipe() -> None:
    program = "import time; from handlers import last_words; time.sleep = None; last_words.wait_until_read()"
    subprocess.run([sys.executable, "-c", program], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def test_it_does_not_wait_for_streams_that_are_closed() -> None:
    program = "import sys; from handlers import last_words; sys.stdout.close(); last_words.wait_until_read()"
    subprocess.run([sys.executable, "-c", program], check=True)


def test_model_that_cannot_be_loaded_is_said_in_one_line_which_is_read_before_the_end(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    said: list[str] = []
    monkeypatch.setattr(text_generation, "wait_until_read", lambda: said.extend(caplog.messages))
    (tmp_path / "model").mkdir()
    with pytest.raises(ValueError, match="Unrecognized model"):
        FakeFrontend(tmp_path)

    assert said == caplog.messages
    assert [message.startswith("torchbridge: cannot load the model: ") for message in said] == [True]
