"""One line of any log, in the one form that all of them have as JSON: docs/logs.md describes it."""

import logging
from datetime import UTC, datetime
from typing import Any, Literal, TypeAlias

from pydantic import BaseModel, ConfigDict, Field

from adapter.log_lines.current_request import current_request

Level: TypeAlias = Literal["debug", "info", "warning", "error", "critical"]
Source: TypeAlias = Literal["gateway", "torchserve", "worker", "output"]

# In a record's `extra`: a dict of further fields.
FIELDS = "fields"
_LEVELS: tuple[tuple[int, Level], ...] = (
    (logging.CRITICAL, "critical"),
    (logging.ERROR, "error"),
    (logging.WARNING, "warning"),
    (logging.INFO, "info"),
)


class LogLine(BaseModel):
    model_config = ConfigDict(frozen=True)

    time: datetime = Field(description="The time of the line, in UTC.")
    level: Level = Field(description="How bad it is.")
    source: Source = Field(description="What has written the line; `output` is what TorchServe prints.")
    message: str = Field(description="The text of the line.")
    logger: str | None = Field(
        default=None, description="The part of the gateway or of TorchServe that has written it."
    )
    worker: str | None = Field(
        default=None, description="The version whose worker has written it, as TorchServe names it: `MODEL_VERSION`."
    )
    request_id: str | None = Field(
        default=None, description="The request that it is about: `X-Request-ID` of its answer."
    )
    trace_id: str | None = Field(default=None, description="The id of the trace of this request.")
    span_id: str | None = Field(default=None, description="The id of the span of this request.")
    exception: str | None = Field(default=None, description="A traceback.")
    caller: str | None = Field(default=None, description="In the last line of a request: the name of the API key.")
    address: str | None = Field(default=None, description="In the last line of a request: the address of the caller.")
    method: str | None = Field(default=None, description="In the last line of a request: its method.")
    path: str | None = Field(default=None, description="In the last line of a request: its path.")
    status: int | None = Field(default=None, description="In the last line of a request: the status of its answer.")
    seconds: float | None = Field(
        default=None, description="In the last line of a request: how long it took, in seconds."
    )

    def json_line(self) -> str:
        return self.model_dump_json(exclude_none=True)


class JsonFormatter(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        request = current_request.get()
        fields: dict[str, Any] = {} if request is None else request._asdict()
        if record.exc_info:
            fields["exception"] = self.formatException(record.exc_info)
        line = LogLine.model_construct(
            time=datetime.fromtimestamp(record.created, UTC),
            level=_level(record.levelno),
            source="gateway",
            message=record.getMessage(),
            logger=record.name,
            **fields,
            **getattr(record, FIELDS, {}),
        )
        return line.json_line()


def _level(number: int) -> Level:
    return next((level for least, level in _LEVELS if number >= least), "debug")
