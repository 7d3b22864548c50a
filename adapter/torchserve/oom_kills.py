"""Whether the kernel has killed something for want of memory: by its own counters, which only ever rise."""

from collections.abc import Iterator
from pathlib import Path

_COUNTER = "oom_kill"


class OomKills:
    """Counts from the moment on in which it is made. Where a system has no such counters it never finds any.

    The control group is the one of this process: what it starts stays in it, and a container is one. A command that
    runs in another group than its server finds the kill of a worker by the machine's counter.
    """

    def __init__(self, root: Path = Path("/")) -> None:
        self._group = next((path for path in _group_files(root) if path.exists()), None)
        self._machine = root / "proc/vmstat"
        self._before = self._read()

    def found(self) -> str | None:
        """Which counter has risen, in words; of two that have, the one that leaves less doubt."""
        now = self._read()
        for path, whose in ((self._group, "of this server's control group"), (self._machine, "of this machine")):
            if path in now and (kills := now[path] - self._before.get(path, now[path])) > 0:
                processes = "a process" if kills == 1 else f"{kills} processes"
                return f"the kernel has killed {processes} {whose} for want of memory ({_COUNTER} in {path})"
        return None

    def _read(self) -> dict[Path, int]:
        counts = {path: _count(path) for path in (self._group, self._machine) if path is not None}
        return {path: count for path, count in counts.items() if count is not None}


def _group_files(root: Path) -> Iterator[Path]:
    mounted = root / "sys/fs/cgroup"
    for line in _lines(root / "proc/self/cgroup"):
        number, controllers, group = line.split(":", 2)
        if "memory" in controllers.split(","):
            directory, name = mounted / "memory", "memory.oom_control"  # version 1; since Linux 4.13
        elif number == "0":
            directory, name = mounted, "memory.events"  # version 2
        else:
            continue
        yield directory / group.strip("/") / name
        yield directory / name  # a container may see its own group here, and know it by the name that the host gave it


def _count(path: Path) -> int | None:
    for line in _lines(path):
        name, _, value = line.partition(" ")
        if name == _COUNTER and value.isdecimal():
            return int(value)
    return None


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return []
