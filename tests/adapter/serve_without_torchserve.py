"""`torchbridge serve` over a stack in which nothing runs, for tests of its own process: MARK [fail].

It makes the file MARK, waits until that is gone, prints and logs more than a pipe holds, and makes it again.
"""

import logging
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partialmethod
from pathlib import Path
from typing import NoReturn

from adapter import cli
from adapter.commands import serve
from adapter.process.background_output import BackgroundStream
from adapter.torchserve.server_process import StartFailed
from tests.waiting import wait_until

MARK, *FAILS = sys.argv[1:]
MORE_THAN_A_PIPE_HOLDS = 2_000  # lines of 100 characters


class EmptyStack:
    url = "http://127.0.0.1:1"
    needs_key = is_open_to_all = False
    log_format, gateway_log = "text", Path(os.devnull)

    def sample(self) -> Iterator[str]:
        yield from ()

    def wait(self) -> NoReturn:
        mark = Path(MARK)
        mark.touch()
        wait_until(lambda: not mark.exists())
        for _ in range(MORE_THAN_A_PIPE_HOLDS):
            logging.getLogger("uvicorn.error").error("x" * 100)
            sys.stdout.write("y" * 100 + "\n")
        mark.touch()
        if FAILS:
            raise StartFailed("The gateway ended.")
        wait_until(lambda: False)
        raise AssertionError


@contextmanager
def empty_stack(*_: object, **__: object) -> Iterator[EmptyStack]:
    yield EmptyStack()


if __name__ == "__main__":
    serve.whole_stack = empty_stack
    BackgroundStream.end = partialmethod(BackgroundStream.end, patience=0.1)  # who reads nothing gets no seconds for it
    sys.argv = ["torchbridge", "serve"]
    cli.main()
