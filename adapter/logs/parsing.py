"""Parses the log files of a run directory into LogLines: each kind of file has its own form."""

import re
from collections.abc import Callable
from datetime import UTC, datetime
from typing import TypeAlias

from pydantic import ValidationError

from adapter.log_lines.log_line import Level, LogLine, Source

# Takes a line and the LogLine before it, which a line without a time goes on with.
Parse: TypeAlias = Callable[[str, LogLine | None], LogLine]

# As log4j2.xml has it: with a comma, and with the offset from UTC.
_LOG4J = re.compile(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d),(\d{3})(Z|[+-]\d\d:?\d\d)? \[(\w+) *\] (.*?) - (.*)")
_LEVELS: dict[str, Level] = {
    "FATAL": "critical",
    "ERROR": "error",
    "WARN": "warning",
    "INFO": "info",
    "DEBUG": "debug",
    "TRACE": "debug",
}
_WORKER = re.compile(r"W-\d+-(.+?)(?:-std(?:out|err))?")  # the thread that minds it, or reads what it prints


def parse_gateway(text: str, before: LogLine | None) -> LogLine:
    try:
        return LogLine.model_validate_json(text)
    except ValidationError:  # the end of what a full disk has cut, or a note of lines that were dropped
        return _going_on(text, before, "gateway")


def parse_torchserve(text: str, before: LogLine | None) -> LogLine:
    line = _LOG4J.fullmatch(text)
    if line is None:
        return _going_on(text, before, "torchserve")
    _, _, logger = line[5].rpartition(" ")
    return LogLine(time=_time(line), level=_level(line), source="torchserve", message=line[6], logger=logger)


def parse_worker(text: str, before: LogLine | None) -> LogLine:
    line = _LOG4J.fullmatch(text)
    if line is None:
        return _going_on(text, before, "worker")
    thread = _WORKER.fullmatch(line[5])
    worker = thread[1] if thread else None
    return LogLine(time=_time(line), level=_level(line), source="worker", message=line[6], worker=worker)


def printed(text: str, until: datetime) -> LogLine:
    """TorchServe prints no times: no line is later than the last change of the file."""
    return LogLine(time=until, level="info", source="output", message=text)


def _going_on(text: str, before: LogLine | None, source: Source) -> LogLine:
    if before is not None:
        same = {"time": before.time, "level": before.level, "worker": before.worker, "request_id": before.request_id}
        return LogLine(source=source, message=text, **same)  # type: ignore[arg-type]
    return LogLine(time=datetime.fromtimestamp(0, UTC), level="info", source=source, message=text)


def _time(line: re.Match[str]) -> datetime:
    return datetime.fromisoformat(f"{line[1]}.{line[2]}{line[3] or ''}").astimezone(UTC)  # without one, it is local


def _level(line: re.Match[str]) -> Level:
    return _LEVELS.get(line[4], "info")
