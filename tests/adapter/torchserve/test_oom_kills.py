"""The kernel's counters, as files below another root."""

from pathlib import Path

import pytest

from adapter.torchserve.oom_kills import OomKills

VERSION_1 = "9:name=systemd:/\n4:memory:/docker/abc\n0::/\n"
VERSION_2 = "0::/system.slice/torchbridge.service\n"


def write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


@pytest.mark.parametrize(
    ("groups", "counter"),
    [
        pytest.param(VERSION_2, "sys/fs/cgroup/system.slice/torchbridge.service/memory.events", id="version 2"),
        pytest.param(VERSION_2, "sys/fs/cgroup/memory.events", id="version 2, seen from inside"),
        pytest.param(VERSION_1, "sys/fs/cgroup/memory/docker/abc/memory.oom_control", id="version 1"),
        pytest.param(VERSION_1, "sys/fs/cgroup/memory/memory.oom_control", id="version 1, seen from inside"),
    ],
)
def test_a_kill_in_the_control_group_is_found(tmp_path: Path, groups: str, counter: str) -> None:
    write(tmp_path / "proc/self/cgroup", groups)
    write(tmp_path / "proc/vmstat", "nr_free_pages 5\noom_kill 7\n")
    write(tmp_path / counter, "low 0\noom 9\noom_kill 2\noom_group_kill 0\n")
    kills = OomKills(tmp_path)
    assert kills.found() is None

    write(tmp_path / "proc/vmstat", "nr_free_pages 5\noom_kill 9\n")
    write(tmp_path / counter, "low 0\noom 9\noom_kill 4\noom_group_kill 0\n")
    assert kills.found() == (
        "the kernel has killed 2 processes of this server's control group for want of memory "
        f"(oom_kill in {tmp_path / counter})"
    )


def test_a_kill_elsewhere_on_the_machine_is_told_as_one(tmp_path: Path) -> None:
    write(tmp_path / "proc/self/cgroup", VERSION_2)
    write(tmp_path / "proc/vmstat", "oom_kill 0\n")
    write(tmp_path / "sys/fs/cgroup/memory.events", "oom_kill 0\n")
    kills = OomKills(tmp_path)
    write(tmp_path / "proc/vmstat", "oom_kill 1\n")
    assert kills.found() == (
        f"the kernel has killed a process of this machine for want of memory (oom_kill in {tmp_path / 'proc/vmstat'})"
    )


def test_a_group_that_has_its_own_counter_is_not_taken_for_the_one_above(tmp_path: Path) -> None:
    own = "sys/fs/cgroup/system.slice/torchbridge.service/memory.events"
    write(tmp_path / "proc/self/cgroup", VERSION_2)
    write(tmp_path / own, "oom_kill 0\n")
    write(tmp_path / "sys/fs/cgroup/memory.events", "oom_kill 0\n")
    kills = OomKills(tmp_path)
    write(tmp_path / "sys/fs/cgroup/memory.events", "oom_kill 1\n")
    assert kills.found() is None


def test_a_limit_that_was_reached_without_a_kill_is_none(tmp_path: Path) -> None:
    write(tmp_path / "proc/self/cgroup", VERSION_2)
    write(tmp_path / "sys/fs/cgroup/memory.events", "max 0\noom 0\noom_kill 0\n")
    kills = OomKills(tmp_path)
    write(tmp_path / "sys/fs/cgroup/memory.events", "max 8\noom 3\noom_kill 0\n")
    assert kills.found() is None


def test_a_system_without_such_counters_finds_none(tmp_path: Path) -> None:
    assert OomKills(tmp_path).found() is None


def test_a_counter_that_appears_later_has_not_risen(tmp_path: Path) -> None:
    kills = OomKills(tmp_path)
    write(tmp_path / "proc/vmstat", "oom_kill 12\n")
    assert kills.found() is None
