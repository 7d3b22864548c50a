"""Addresses for servers of a test, none of which was in use when it was chosen.

They are below those that the system gives to port 0 and to outgoing connections: nobody else is given one of them
between the choice and the server's start.
"""

from adapter.torchserve.ports import free_addresses as torchserve_properties

__all__ = ["free_port", "free_ports", "torchserve_properties"]


def free_port() -> int:
    return free_ports(1)[0]


def free_ports(count: int) -> list[int]:
    """At most as many as a TorchServe has."""
    ports = [int(address.rpartition(":")[2]) for address in torchserve_properties().values()]
    assert count <= len(ports)
    return ports[:count]
