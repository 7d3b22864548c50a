"""One answer of TorchServe as it came over the wire, and the file that keeps it: the text of its lines, for a diff."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from adapter.errors import TorchbridgeError
from adapter.torchserve.error_answers import error_from_answer

FIXTURES = Path(__file__).parent / "fixtures" / "torchserve"

_OF_THE_CONNECTION = ("connection", "content-length", "transfer-encoding")

Ended = Literal["open", "closed", "reset"]


@dataclass(frozen=True)
class RecordedAnswer:
    """`ended`: how the server left the connection. It is open after a success, and after silence."""

    request: str
    head: bytes
    body: bytes
    ended: Ended

    @property
    def status(self) -> int:
        """0 where there is no answer at all."""
        return int(self.head.split(maxsplit=2)[1]) if self.head else 0

    @property
    def headers(self) -> dict[str, str]:
        """Those of what is said; how it is carried is the connection's own affair."""
        lines = (line.split(": ", 1) for line in self.head.decode("latin-1").splitlines()[1:] if line)
        return {name: value for name, value in lines if name.lower() not in _OF_THE_CONNECTION}

    def write(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        lines = {
            "request": self.request,
            "head": self.head.decode("latin-1").split("\r\n")[:-2],
            "body": self.body.decode("latin-1").splitlines(keepends=True),
            "ended": self.ended,
        }
        path.write_text(json.dumps(lines, indent=2) + "\n")

    @classmethod
    def read(cls, path: Path) -> "RecordedAnswer":
        lines = json.loads(path.read_text())
        return cls(
            lines["request"],
            "".join(f"{line}\r\n" for line in [*lines["head"], ""]).encode("latin-1") if lines["head"] else b"",
            "".join(lines["body"]).encode("latin-1"),
            lines["ended"],
        )


def recorded(name: str) -> RecordedAnswer:
    """name: the path below the fixtures, without its suffix."""
    return RecordedAnswer.read(FIXTURES / f"{name}.json")


def recorded_failure(name: str) -> TorchbridgeError:
    """What the gateway makes of it."""
    answer = recorded(name)
    return error_from_answer(answer.status, answer.body)


def recorded_answers() -> Iterator[tuple[str, RecordedAnswer]]:
    """Each with its name."""
    for path in sorted(FIXTURES.glob("*/*.json")):
        name = f"{path.parent.name}/{path.stem}"
        yield name, recorded(name)
