"""Processes that run tests beside each other do not choose the same ports."""

import subprocess
import sys
from contextlib import ExitStack

from adapter.torchserve.ports import free_addresses
from tests.free_ports import free_port, free_ports

_CHOOSE = "from tests.free_ports import free_ports; print(*free_ports(20), flush=True); input()"


def test_no_port_is_chosen_twice_by_processes_that_live_together() -> None:
    with ExitStack() as living:
        choose = [sys.executable, "-c", _CHOOSE]
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
        others = [living.enter_context(subprocess.Popen(choose, **pipes)) for _ in range(3)]
        chosen = [free_ports(20), *([int(port) for port in other.stdout.readline().split()] for other in others)]
        for other in others:
            other.stdin.write("\n")

    assert len(set().union(*chosen)) == sum(map(len, chosen)) == 80


def test_a_port_is_not_chosen_again_while_others_were_not() -> None:
    assert len({free_port() for _ in range(150)}) == 150


def test_the_adapter_chooses_other_ports_than_tests() -> None:
    adapters = {int(address.rpartition(":")[2]) for address in free_addresses().values()}

    assert max(free_ports(50)) < min(adapters)
