"""Whether the machine has what a server needs: time, memory, disks, files, a compiler."""

import os
import platform
import resource
import shutil
import tempfile
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import psutil

from adapter.doctor.finding import Finding, Scene, warning, wrong
from adapter.durable.disk_space import nearest_existing
from adapter.process.file_descriptors import most_connections

_DAY = 86_400
_FEW_BYTES = 10**9  # a compiled model's libraries and logs, an archive or two of a small model
_TOO_FEW_BYTES = 50 * 10**6
_LITTLE_MEMORY = 10**9
_FEW_CONNECTIONS = 500


def facts(scene: Scene) -> dict[str, str]:
    """The facts that a helper elsewhere asks for first."""
    memory = psutil.virtual_memory()
    return {
        "system": f"{platform.system()} {platform.release()}, Python {platform.python_version()}",
        "processor": f"{_processor(scene.root)}, {os.cpu_count()} cores, {_usable_cores()} for this process",
        "memory": f"{memory.total / 1e9:.1f} GB, {_spare_memory(scene.root) / 1e9:.1f} GB to be had",
    }


def check_clock(_: Scene) -> Iterator[Finding]:
    """Keys, certificates and the age of what is cached go by it."""
    made = Path(__file__).stat().st_mtime
    if time.time() < made - _DAY:
        now = datetime.now(UTC)
        yield wrong(
            f"The clock says {now:%Y-%m-%d %H:%M} UTC, which is before this installation was made.",
            "Set it: timedatectl",
        )


def check_disks(scene: Scene) -> Iterator[Finding]:
    places = {
        "what servers keep": nearest_existing(scene.run_directory),
        "temporary files": Path(tempfile.gettempdir()),
    }
    for purpose, place in places.items():
        free = shutil.disk_usage(place).free
        if free < _TOO_FEW_BYTES:
            yield wrong(f"{place}, for {purpose}, has {free / 1e6:.0f} MB left.", "Make space there.")
        elif free < _FEW_BYTES:
            yield warning(
                f"{place}, for {purpose}, has {free / 1e6:.0f} MB left: an archive may not fit.", "Make space there."
            )


def check_libraries_can_be_loaded(scene: Scene) -> Iterator[Finding]:
    place = nearest_existing(scene.run_directory)
    if os.statvfs(place).f_flag & getattr(os, "ST_NOEXEC", 0):
        yield warning(
            f"{place} is mounted noexec: compiled steps, which lie there, cannot be loaded.",
            "Choose another directory with TORCHBRIDGE_RUN_DIRECTORY and TORCHBRIDGE_COMPILED_STEPS.",
        )


def check_memory(scene: Scene) -> Iterator[Finding]:
    spare = _spare_memory(scene.root)
    if spare < _LITTLE_MEMORY:
        yield warning(
            f"{spare / 1e6:.0f} MB of memory are left: TorchServe takes 300, and a worker 500 and its model.",
            "Give this machine, or this container, more of it.",
        )


def check_files(_: Scene) -> Iterator[Finding]:
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    if hard != resource.RLIM_INFINITY and (most := most_connections(hard)) < _FEW_CONNECTIONS:
        yield warning(
            f"A process may open {hard} files, so a gateway takes {most} connections.",
            "Raise it: ulimit -n, or LimitNOFILE of the service.",
        )


def check_compiler(scene: Scene) -> Iterator[Finding]:
    if scene.environment.get("TORCHBRIDGE_COMPILE", "").lower() in {"false", "0", "no", "off"}:
        return
    program = scene.environment.get("CXX") or "g++"
    if shutil.which(program, path=scene.environment.get("PATH")) is None:
        yield warning(
            f"There is no C++ compiler ({program}): steps are not compiled, and answers take up to twice as long.",
            "Install g++, or set TORCHBRIDGE_COMPILE=false to hear no more of it.",
        )


def check_threads(scene: Scene) -> Iterator[Finding]:
    threads, cores = scene.environment.get("OMP_NUM_THREADS", ""), _usable_cores()
    if threads.isdecimal() and int(threads) < cores:
        yield warning(
            f"OMP_NUM_THREADS={threads} keeps workers to so many of {cores} cores.", "Unset it where the server starts."
        )


def _usable_cores() -> int:
    """The cores that this process may use: a container or `taskset` may leave it fewer than there are."""
    affinity = getattr(os, "sched_getaffinity", None)  # Linux
    return len(affinity(0)) if affinity else os.cpu_count() or 1


def _spare_memory(root: Path) -> int:
    """Bytes that this machine has left, and the control group that a container sees as its own."""
    limits = [psutil.virtual_memory().available]
    group = root / "sys/fs/cgroup"
    try:
        limit, used = (group / "memory.max").read_text().strip(), (group / "memory.current").read_text().strip()
    except OSError:
        return limits[0]
    if limit.isdecimal() and used.isdecimal():
        limits.append(max(int(limit) - int(used), 0))
    return min(limits)


def _processor(root: Path) -> str:
    """The processor's name, and those of its units that matter for a model's speed."""
    try:
        lines = (root / "proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return platform.machine()
    told = dict(line.split(":", 1) for line in lines if ":" in line)
    told = {name.strip(): value.strip() for name, value in told.items()}
    units = [unit for unit in ("avx2", "avx512f", "avx512_bf16", "amx_bf16") if unit in told.get("flags", "").split()]
    return f"{told.get('model name', platform.machine())} ({', '.join(units) or 'no vector units known'})"
