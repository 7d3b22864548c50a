"""What goes wrong without an answer of the gateway that says so, by cause. All of it is a TorchbridgeError.

UpstreamUnavailable
├── ConnectionFailed       no whole answer came
│   ├── ConnectionRefused  nothing listens at this address
│   ├── HostUnknown        the name has no address
│   ├── NotTrusted         no TLS connection that could be trusted
│   ├── AnswerBroken       the connection ended in the middle of an answer
│   └── TimedOut           a time of the client's ran out
└── StreamTruncated        a stream stopped before its end
Cancelled
└── StreamClosed           a stream was closed while it was read, or is read after that
GenerationFailed
├── ObjectTruncated        there were too few tokens for the whole object
└── ObjectInvalid          the object does not pass its model's own checks
"""

from pydantic import ValidationError

from adapter.errors import Cancelled, GenerationFailed, UpstreamUnavailable
from adapter.schema import ErrorCode


class ConnectionFailed(UpstreamUnavailable, ConnectionError):
    """No answer came, or only a part of one. `url` is where it was asked for."""

    def __init__(self, detail: str, *, url: str = "", is_final: bool = False) -> None:
        super().__init__(detail, is_final=is_final)
        self.url = url


class ConnectionRefused(ConnectionFailed):
    """Nothing listens at this address."""


class HostUnknown(ConnectionFailed):
    """The host's name has no address; it is retryable only where the name service itself failed."""


class NotTrusted(ConnectionFailed):
    """There is no TLS at this address, or no certificate that is trusted."""


class AnswerBroken(ConnectionFailed):
    """The connection ended before the whole answer was here."""


class TimedOut(ConnectionFailed, TimeoutError):
    """A time of the client's own ran out. What the gateway ends in time is DeadlineExceeded."""

    code = ErrorCode.DEADLINE_EXCEEDED


class StreamTruncated(UpstreamUnavailable):
    """A stream stopped before its end, so its text is not whole; `text` is what there is of it."""

    def __init__(self, detail: str, *, text: str = "") -> None:
        super().__init__(detail)
        self.text = text


class StreamClosed(Cancelled):
    """The stream was closed: by another thread or task while it was read, or before it was read to its end."""

    def __init__(self, detail: str = "The stream is closed.") -> None:
        super().__init__(detail)


class ObjectTruncated(GenerationFailed):
    """The answer ended by `length`, inside its object: a larger `max_length` may be enough. `text` is what there is."""

    def __init__(self, detail: str, *, text: str = "") -> None:
        super().__init__(detail)
        self.text = text


class ObjectInvalid(GenerationFailed):
    """The answer has the schema's form, but the model's own checks refuse it: `__cause__` is the ValidationError.

    `text` is the answer.
    """

    def __init__(self, detail: str, *, text: str = "") -> None:
        super().__init__(detail)
        self.text = text

    @classmethod
    def because(cls, error: ValidationError, text: str) -> "ObjectInvalid":
        first = error.errors(include_url=False, include_input=False, include_context=False)[0]
        place = ".".join(map(str, first["loc"]))
        return cls(f"The object is not valid: {place}: {first['msg']}" if place else first["msg"], text=text)
