"""The documents that people read, and the blocks of code in them.

A block that cannot be run here says why in a comment of HTML on the line before it: `<!-- not run: a cluster -->`.
"""

import re
from pathlib import Path
from typing import NamedTuple

from tests.project import PROJECT

DOCS = PROJECT / "docs"
# What `make test` runs or checks the blocks of.
WITH_BLOCKS = [PROJECT / "README.md", PROJECT / "torchbridge" / "README.md", *sorted(DOCS.glob("*.md"))]

_BLOCK = re.compile(
    r"^(?:<!-- not run: (?P<reason>[^\n]+) -->\n)?```(?P<language>[^\n]*)\n(?P<code>.*?)^```$",
    re.MULTILINE | re.DOTALL,
)


class Block(NamedTuple):
    """line: of its fence. not_run: why, if it is not."""

    document: Path
    line: int
    language: str
    code: str
    not_run: str | None

    @property
    def place(self) -> str:
        return f"{name_of(self.document)}:{self.line}"


def name_of(document: Path) -> str:
    return str(document.relative_to(PROJECT))


def blocks_of(document: Path) -> list[Block]:
    text = document.read_text(encoding="utf-8")
    return [
        Block(
            document,
            text.count("\n", 0, found.start("language")) + 1,
            found["language"],
            found["code"],
            found["reason"],
        )
        for found in _BLOCK.finditer(text)
    ]


def prose_of(document: Path) -> str:
    """Without blocks of code, in which brackets mean something else."""
    return re.sub(r"^```.*?^```", "", document.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)


BLOCKS = [block for document in WITH_BLOCKS for block in blocks_of(document)]


def runnable(language: str) -> list[Block]:
    return [block for block in BLOCKS if block.language == language and block.not_run is None]
