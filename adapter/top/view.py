from collections.abc import Iterator, Sequence

from rich.console import Group
from rich.table import Table
from rich.text import Text

from adapter.errors import TorchbridgeError
from adapter.top.measurement import Row
from adapter.top.rates import Rates
from adapter.versions.status import compilations_in_words, open_changes_in_words

_COLUMNS = (
    "model",
    "version",
    "running",
    "waiting",
    "tokens/s",
    "answers/s",
    "failed/s",
    "p50",
    "p95",
    "p99",
    "memory",
)
_NUMBERS = _COLUMNS[2:]
_GIVE_WAY = (
    "p99",
    "p50",
    "memory",
    "answers/s",
    "p95",
    "failed/s",
    "tokens/s",
)  # in this order, where there is no room
_SPACE = 2  # between two columns


def view(rows: Sequence[Row], seconds: int, width: int | None = None) -> Group:
    """A table, and below it what is not as it should be, or will not stay so. `width`: characters; None: any."""
    lines = [dict(zip(_COLUMNS, _cells(row), strict=True)) for row in rows]
    shown = _columns_within(lines, width)
    table = Table(box=None, pad_edge=False)
    for name in shown:
        table.add_column(name, justify="right" if name in _NUMBERS else "left", no_wrap=True)
    for line in lines:
        table.add_row(*(line[name] for name in shown))
    return Group(table, Text(_legend(shown, seconds), style="dim"), *(Text(line) for line in _lines(rows)))


def without_answer(error: Exception) -> Text:
    """Takes the place of the table while there is nothing to be shown."""
    return Text(f"{error.with_cause if isinstance(error, TorchbridgeError) else error}\nAsking again until Ctrl-C.")


def _columns_within(lines: Sequence[dict[str, str]], width: int | None) -> list[str]:
    shown = list(_COLUMNS)
    for name in _GIVE_WAY:
        if width is None or _width(shown, lines) <= width:
            break
        shown.remove(name)
    return shown


def _width(shown: Sequence[str], lines: Sequence[dict[str, str]]) -> int:
    widths = (max(len(name), *(len(line[name]) for line in lines), 0) for name in shown)
    return sum(widths) + _SPACE * (len(shown) - 1)


def _legend(shown: Sequence[str], seconds: int) -> str:
    hidden = ", ".join(name for name in _COLUMNS if name not in shown)
    wider = f" A wider terminal has {hidden}, too." if hidden else ""
    return f"p50 to p99: seconds to the first token. All of the last {seconds} seconds.{wider}"


def _cells(row: Row) -> Iterator[str]:
    status = row.status
    yield from (status.model, f"{status.version}{' (default)' if status.is_default else ''}")
    yield from (str(status.live_requests), str(status.waiting_requests + status.queued_in_torchserve))
    yield from _rates(row.rates) if row.rates else ("",) * 6
    yield "" if row.worker_memory_bytes is None else f"{row.worker_memory_bytes / 1e6:,.0f} MB"


def _rates(rates: Rates) -> Iterator[str]:
    yield f"{rates.tokens_per_second:.1f}"
    yield f"{rates.answers_per_second:.2f}"
    yield f"{rates.failures_per_second:.2f}"
    for name in ("p50", "p95", "p99"):
        time = rates.first_token_seconds.get(name)
        yield "" if time is None else f"{time:.3f}"


def _lines(rows: Sequence[Row]) -> Iterator[str]:
    statuses = [row.status for row in rows]
    for status in statuses:
        if status.ready_workers < status.workers:
            yield f"{status.model} {status.version} waits for its worker, which loads or is started again."
    yield from compilations_in_words(statuses)
    yield from open_changes_in_words(statuses)
