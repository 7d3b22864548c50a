"""`torchbridge generate` and `torchbridge chat`, from pipes and from a terminal."""

import os
import pty
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from tests.waiting import wait_until

pytestmark = pytest.mark.torchserve

COMMAND = str(Path(sys.executable).with_name("torchbridge"))


def run(*arguments: str, said: str = "", url: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [COMMAND, *arguments, "--url", url], input=said, capture_output=True, text=True, check=False, timeout=300
    )


def test_a_prompt_is_gone_on_from(gateway_url: str) -> None:
    done = run("generate", "Once upon a time", "--temperature", "0", "--max-length", "12", url=gateway_url)
    assert (done.returncode, done.stderr) == (0, "")
    assert len(done.stdout.split()) > 5
    assert run(
        "generate", "-", "--temperature", "0", "--max-length", "12", said="Once upon a time", url=gateway_url
    ).stdout == (done.stdout)


def test_a_failure_is_one_line(gateway_url: str) -> None:
    done = run("generate", "Once", "--model", "absent", url=gateway_url)
    assert done.returncode == 1
    assert done.stderr.startswith("torchbridge: ")
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize("command", [["generate", "Once"], ["chat"]], ids=["generate", "chat"])
def test_a_gateway_that_is_not_there_is_said_at_once(command: list[str]) -> None:
    done = run(*command, url="http://127.0.0.1:9")
    assert done.returncode == 1
    assert "127.0.0.1:9" in done.stderr


def test_each_line_of_a_pipe_is_a_question(gateway_url: str) -> None:
    one = run("chat", "--temperature", "0", "--max-tokens", "9", said="A fox\n", url=gateway_url)
    two = run("chat", "--temperature", "0", "--max-tokens", "9", said="A fox\n\n/new\nA fox\n", url=gateway_url)
    assert one.returncode == 0
    assert one.stdout.strip()
    assert two.stdout == one.stdout * 2  # what was said before is forgotten


class Terminal:
    """What a person sees and types."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self.seen = ""

    def type(self, keys: str) -> None:
        os.write(self._descriptor, keys.encode())

    def wait_for(self, text: str, begin: int = 0) -> None:
        self._read_until(lambda: text in self.seen[begin:])

    def wait_for_more(self) -> None:
        length = len(self.seen)
        self._read_until(lambda: len(self.seen) > length)

    def _read_until(self, condition: Callable[[], bool]) -> None:
        def holds() -> bool:
            if not condition():
                with suppress(OSError):  # the other side has ended
                    self.seen += os.read(self._descriptor, 4096).decode(errors="replace")
            return condition()

        wait_until(holds)


@contextmanager
def chat_in_terminal(*arguments: str) -> Iterator[tuple[Terminal, subprocess.Popen[bytes]]]:
    ours, its = pty.openpty()
    environment = os.environ | {"TERM": "dumb"}
    with subprocess.Popen(
        [COMMAND, "chat", *arguments], stdin=its, stdout=its, stderr=its, env=environment, start_new_session=True
    ) as process:
        os.close(its)
        try:
            yield Terminal(ours), process
        finally:
            process.kill()
            os.close(ours)


def test_interrupts_end_an_answer_and_the_end_of_input_the_chat(gateway_url: str) -> None:
    endless = ("--model", "endless", "--max-tokens", "30000", "--temperature", "2")
    with chat_in_terminal("--url", gateway_url, *endless) as (terminal, process):
        terminal.wait_for("> ")
        asked = len(terminal.seen)
        terminal.type("Once upon a time\n")
        terminal.wait_for("time\r\n", asked)
        terminal.wait_for_more()  # the answer has begun: before, an interrupt ends the chat
        process.send_signal(2)
        answered = len(terminal.seen)
        terminal.wait_for("> ", answered)
        terminal.type("\x04")
        assert process.wait(120) == 0
