"""Addresses for servers of a test that no other test is given, and a Java that starts at little cost.

Many seconds may pass between the choice of a port and the server's start. So no other process that runs tests may
choose the same one meanwhile, nor may the system give it to an outgoing connection, nor the adapter to a TorchServe of
its own.
"""

import itertools
import random
import socket
from collections.abc import Iterator
from contextlib import suppress
from functools import cache
from pathlib import Path

from adapter.torchserve.ports import addresses_at
from adapter.torchserve.properties import read_properties
from adapter.torchserve.server_process import CONFIG_FILE

# Below the adapter's own (adapter/torchserve/ports.py), which are below the system's.
_FIRST_PORT, _BLOCK_SIZE, _NUM_BLOCKS = 10_000, 199, 32
# A test's Java lives for seconds: what its second compiler makes comes too late, and little memory is to be collected.
_JAVA = "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC"


def torchserve_properties() -> dict[str, str]:
    """Overrides of config.properties."""
    return addresses_at(free_ports(5)) | {"vmargs": _JAVA}


def free_port() -> int:
    return free_ports(1)[0]


def free_ports(count: int) -> list[int]:
    """Ports of 127.0.0.1 on which nobody listens."""
    return list(itertools.islice(filter(_is_free, _own_ports()), count))


@cache
def _own_ports() -> Iterator[int]:
    """Those of this process, again and again: one that was chosen is the last to be chosen once more."""
    first = _FIRST_PORT + _held_block()[0] * _BLOCK_SIZE
    return itertools.cycle(range(first, first + _BLOCK_SIZE))


@cache
def _held_block() -> tuple[int, socket.socket]:
    """No other process gets it while this one has the socket, which is of no file and named after the block."""
    for block in random.sample(range(_NUM_BLOCKS), _NUM_BLOCKS):
        holder = socket.socket(socket.AF_UNIX)
        try:
            holder.bind(f"\0torchbridge-test-ports-{block}")
        except OSError:
            holder.close()
        else:
            return block, holder
    raise OSError(f"{_NUM_BLOCKS} processes run tests.")


def _is_free(port: int) -> bool:
    with suppress(OSError), socket.create_server(("127.0.0.1", port)):
        return True
    return False


def write_torchserve_config(path: Path) -> Path:
    """Ours, with such addresses."""
    properties = read_properties(CONFIG_FILE) | torchserve_properties()
    path.write_text("".join(f"{key}={value}\n" for key, value in properties.items()))
    return path
