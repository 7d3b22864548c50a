from collections.abc import Iterator, Sequence

from rich.console import Group
from rich.table import Table
from rich.text import Text

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
_NUMBERS = slice(2, None)


def view(rows: Sequence[Row], seconds: int) -> Group:
    """A table, and below it what is not as it should be, or will not stay so."""
    table = Table(box=None, pad_edge=False)
    for name in _COLUMNS:
        table.add_column(name, justify="right" if name in _COLUMNS[_NUMBERS] else "left", no_wrap=True)
    for row in rows:
        table.add_row(*_cells(row))
    legend = f"p50 to p99: seconds to the first token. All of the last {seconds} seconds."
    return Group(table, Text(legend, style="dim"), *(Text(line) for line in _lines(rows)))


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
