"""What a program imports that calls a gateway: `from torchbridge import GatewayClient`."""

from adapter import client as _client
from adapter.client import *  # noqa: F403 - all that it lists, which type checkers follow
from adapter.errors import TorchbridgeError

__all__ = ["TorchbridgeError"]
__all__ += _client.__all__
