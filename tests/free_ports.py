"""Addresses for a TorchServe of a test, none of which was in use when it was chosen."""

from adapter.torchserve.ports import free_addresses as torchserve_properties

__all__ = ["torchserve_properties"]
