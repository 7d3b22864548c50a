"""What the handler's own commands have in common: the adapter runs them, and reads what they print."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout

from transformers.utils import logging


@contextmanager
def one_line_for(*expected: type[Exception]) -> Iterator[None]:
    """Keeps standard output for the result; an expected error ends the process with one line on standard error."""
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        with redirect_stdout(sys.stderr):  # whatever a library may have to say
            yield
    except expected as error:
        sys.exit(" ".join(str(error).split()))
