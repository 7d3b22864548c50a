"""Addresses for servers of a test, none of which was in use when it was chosen.

They are below those that the system gives to port 0 and to outgoing connections: nobody else is given one of them
between the choice and the server's start.
"""

from adapter.torchserve.ports import free_addresses as torchserve_properties

__all__ = ["free_port", "torchserve_properties"]


def free_port() -> int:
    return int(torchserve_properties()["grpc_inference_port"])
