"""Calls a Torchbridge gateway from Python, in the same words as ts-client does from TypeScript.

Every failure is a TorchbridgeError: one of adapter.errors where the gateway says what is wrong, and one of
adapter/client/errors.py where it does not. `calls` makes requests and reads answers, without I/O; `blocking` and
`asynchronous` carry them.
"""

from adapter.client.async_gateway_client import AsyncGatewayClient
from adapter.client.asynchronous import AsyncStream
from adapter.client.blocking import Stream
from adapter.client.chat import ChatDelta, ChatResponse
from adapter.client.errors import (
    AnswerBroken,
    ConnectionFailed,
    ConnectionRefused,
    HostUnknown,
    NotTrusted,
    ObjectInvalid,
    ObjectTruncated,
    StreamClosed,
    StreamTruncated,
    TimedOut,
)
from adapter.client.events import TextEvent
from adapter.client.fields import CallOptions, ChatFields, GenerationFields, Message, Tool
from adapter.client.gateway_client import GatewayClient
from adapter.client.tool_calls import ToolCall

__all__ = [
    "AnswerBroken",
    "AsyncGatewayClient",
    "AsyncStream",
    "CallOptions",
    "ChatDelta",
    "ChatFields",
    "ChatResponse",
    "ConnectionFailed",
    "ConnectionRefused",
    "GatewayClient",
    "GenerationFields",
    "HostUnknown",
    "Message",
    "NotTrusted",
    "ObjectInvalid",
    "ObjectTruncated",
    "Stream",
    "StreamClosed",
    "StreamTruncated",
    "TextEvent",
    "TimedOut",
    "Tool",
    "ToolCall",
]
