"""What a command says while it works, where there is no terminal: a line now and then."""

import re


def without_progress(stderr: str) -> str:
    return re.sub(r"^.*: \d+ s so far\n", "", stderr, flags=re.MULTILINE)
