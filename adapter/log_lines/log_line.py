"""One line of any log, in the one form that all of them have as JSON: docs/logs.md describes it."""

import logging
from datetime import UTC, datetime
from typing import Any, Literal, TypeAlias

from pydantic import BaseModel, ConfigDict

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

    time: datetime
    level: Level
    source: Source
    message: str
    logger: str | None = None
    worker: str | None = None  # TorchServe's name for the workers of a version: MODEL_VERSION
    request_id: str | None = None
    trace_id: str | None = None
    span_id: str | None = None
    exception: str | None = None
    # In the line of a request that has ended.
    caller: str | None = None
    address: str | None = None
    method: str | None = None
    path: str | None = None
    status: int | None = None
    seconds: float | None = None

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
