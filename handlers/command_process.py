"""The frame of the handler's own commands: the adapter runs them, and reads what they print."""

import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from typing import TextIO

from transformers.utils import logging as transformers_logging


@contextmanager
def one_line_for(*expected: type[Exception]) -> Iterator[None]:
    """Keeps standard output for the result; an expected error ends the process with one line on standard error.

    What the handler's code logs as a warning is a line there, too, which begins with "warning: ".
    """
    transformers_logging.set_verbosity_error()
    transformers_logging.disable_progress_bar()
    warnings = _OneLineWarnings(sys.stderr)
    warnings.setLevel(logging.WARNING)
    logger = logging.getLogger("handlers")
    logger.addHandler(warnings)
    try:
        with redirect_stdout(sys.stderr):  # whatever a library may have to say
            yield
    except expected as error:
        sys.exit(_one_line(str(error)))
    finally:
        logger.removeHandler(warnings)


class _OneLineWarnings(logging.StreamHandler[TextIO]):
    def format(self, record: logging.LogRecord) -> str:
        return f"warning: {_one_line(record.getMessage())}"


def _one_line(text: str) -> str:
    return " ".join(text.split())
