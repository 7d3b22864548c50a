"""OpenAI's objects of files and batches, and what is sent to make them.

https://platform.openai.com/docs/api-reference/batch and .../files
"""

import re
from typing import Annotated, Any, Generic, Literal, TypeVar

from pydantic import AfterValidator, Field
from pydantic_core import PydanticCustomError

from adapter.openai.lenient import Lenient
from adapter.openai.responses.schema import Metadata
from adapter.sent import Sent

Endpoint = Literal["/v1/chat/completions", "/v1/completions", "/v1/responses"]
Status = Literal["validating", "failed", "in_progress", "finalizing", "completed", "expired", "cancelling", "cancelled"]
ENDED: frozenset[Status] = frozenset({"failed", "completed", "expired", "cancelled"})
BATCH_INPUT, BATCH_OUTPUT = "batch", "batch_output"

_SECONDS = {"m": 60, "h": 3_600, "d": 86_400}
_LONGEST_WINDOW = 30 * 86_400
_MIN_AGE, _MAX_AGE = 3_600, 30 * 86_400  # of files, as OpenAI has it


def seconds_of(window: str) -> int:
    return int(window[:-1]) * _SECONDS[window[-1]]


def _check_window(window: str) -> str:
    if not re.fullmatch(r"[1-9][0-9]{0,4}[mhd]", window) or seconds_of(window) > _LONGEST_WINDOW:
        raise PydanticCustomError("window", "Must be minutes, hours or days up to 30, such as 24h, 90m or 7d")
    return window


class ExpiresAfter(Lenient):
    anchor: Literal["created_at"]
    seconds: int = Field(ge=_MIN_AGE, le=_MAX_AGE)


class NewBatch(Lenient):
    input_file_id: str
    endpoint: Endpoint
    completion_window: Annotated[str, AfterValidator(_check_window)]
    metadata: Metadata | None = None
    output_expires_after: ExpiresAfter | None = None


class FileObject(Sent):
    id: str
    object: Literal["file"] = "file"
    bytes: int
    created_at: int  # seconds since the epoch, as all times here
    expires_at: int | None
    filename: str
    purpose: str
    status: Literal["processed"] = "processed"


class FileDeleted(Sent):
    id: str
    object: Literal["file"] = "file"
    deleted: Literal[True] = True


class BatchError(Sent):
    code: str
    line: int | None = None  # the first one is 1
    message: str
    param: str | None = None


class BatchErrors(Sent):
    object: Literal["list"] = "list"
    data: tuple[BatchError, ...]


class RequestCounts(Sent):
    total: int = 0
    completed: int = 0
    failed: int = 0


class Usage(Sent):
    input_tokens: int
    input_tokens_details: dict[str, int]
    output_tokens: int
    output_tokens_details: dict[str, int]
    total_tokens: int

    @classmethod
    def of(cls, input_tokens: int, output_tokens: int) -> "Usage":
        return cls(
            input_tokens=input_tokens,
            input_tokens_details={"cached_tokens": 0},
            output_tokens=output_tokens,
            output_tokens_details={"reasoning_tokens": 0},
            total_tokens=input_tokens + output_tokens,
        )


class Batch(Sent):
    id: str
    object: Literal["batch"] = "batch"
    endpoint: Endpoint
    model: str | None = None  # where all requests name the same
    errors: BatchErrors | None = None
    input_file_id: str
    completion_window: str
    status: Status = "validating"
    output_file_id: str | None = None
    error_file_id: str | None = None
    created_at: int
    in_progress_at: int | None = None
    expires_at: int
    finalizing_at: int | None = None
    completed_at: int | None = None
    failed_at: int | None = None
    expired_at: int | None = None
    cancelling_at: int | None = None
    cancelled_at: int | None = None
    request_counts: RequestCounts = RequestCounts()
    usage: Usage | None = None
    metadata: dict[str, str] | None = None

    @property
    def has_ended(self) -> bool:
        return self.status in ENDED

    def at(self, status: Status, now: float, **more: Any) -> "Batch":
        """The batch with this `status` since `now`."""
        return self.model_copy(update={"status": status, f"{status}_at": int(now), **more})


Item = TypeVar("Item", FileObject, Batch)


class Page(Sent, Generic[Item]):
    """A page of a list. `has_more`: whether others follow the last one."""

    object: Literal["list"] = "list"
    data: tuple[Item, ...]
    first_id: str | None
    last_id: str | None
    has_more: bool

    @classmethod
    def of(cls, items: list[Item], limit: int) -> "Page[Item]":
        """items: one more than the limit, where there are more."""
        data = tuple(items[:limit])
        ends = (data[0].id, data[-1].id) if data else (None, None)
        return cls(data=data, first_id=ends[0], last_id=ends[1], has_more=len(items) > limit)
