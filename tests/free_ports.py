"""Addresses for servers of a test, none of which was in use when it was chosen, and a Java that starts at little cost.

They are below those that the system gives to port 0 and to outgoing connections: nobody else is given one of them
between the choice and the server's start.
"""

from pathlib import Path

from adapter.torchserve.ports import free_addresses
from adapter.torchserve.properties import read_properties
from adapter.torchserve.server_process import CONFIG_FILE

# A test's Java lives for seconds: what its second compiler makes comes too late, and little memory is to be collected.
_JAVA = "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC"


def torchserve_properties() -> dict[str, str]:
    """Overrides of config.properties."""
    return free_addresses() | {"vmargs": _JAVA}


def free_port() -> int:
    return free_ports(1)[0]


def free_ports(count: int) -> list[int]:
    """At most as many as a TorchServe has."""
    ports = [int(address.rpartition(":")[2]) for address in free_addresses().values()]
    assert count <= len(ports)
    return ports[:count]


def write_torchserve_config(path: Path) -> Path:
    """Ours, with such addresses."""
    properties = read_properties(CONFIG_FILE) | torchserve_properties()
    path.write_text("".join(f"{key}={value}\n" for key, value in properties.items()))
    return path
