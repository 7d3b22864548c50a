"""`make faults`: for how long the gateway's event loop is held, and with it everybody's streams, by each abuse."""

import time
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

from adapter.archives.archive import build_archive
from adapter.torchserve.archive_probe import served_alone
from benchmarks.abused_gateway import NUM_DESCRIPTORS, AbusedGateway
from benchmarks.abuses import ABUSES
from benchmarks.command_line import parse_arguments
from benchmarks.project import PROJECT
from benchmarks.report import Table, write_report
from benchmarks.rounds import Figure, console, interleave_many

_NO_ABUSE, _SECONDS_WITHOUT = "no abuse", 5
_SECONDS_PER_ROUND = 20  # on two cores of an EPYC, for the estimate alone

_METHOD = f"""\
The gateway as `torchbridge serve` runs it, without keys, over a TorchServe with models/tiny, with {NUM_DESCRIPTORS}
file descriptors and a standard error that nobody reads. A task on its event loop sleeps 10 ms, again and again: *late*
is the longest that it slept too long in one run of an abuse ([benchmarks/abuses.py](../abuses.py)), and *held* the part
of it that the loop's own thread computed through. What is late and not held, another process had the core: those who
abuse it run on the same machine. The abuses are sent one after the other, in {{rounds}} rounds."""


def main() -> None:
    arguments = parse_arguments()
    console.print(f"about {(arguments.rounds + 1) * _SECONDS_PER_ROUND / 60:.0f} minutes on a quiet machine")
    figures = _measure(arguments.rounds)
    write_report(
        "faults",
        title="What holds the event loop",
        method=_METHOD.format(rounds=arguments.rounds),
        tables=[_table(figures)],
        command="make faults",
    )


def _measure(rounds: int) -> dict[str, dict[str, Figure]]:
    with TemporaryDirectory(prefix="torchbridge-") as directory:
        archive = build_archive(PROJECT / "models" / "tiny", "tiny", "1.0", Path(directory))
        with served_alone(archive, console.print) as server:
            addresses = server.properties["inference_address"], server.properties["management_address"]
            with AbusedGateway(*addresses, server.keys.path, archive.parent) as gateway:
                return interleave_many(
                    {name: partial(_longest_delays, gateway, name) for name in (_NO_ABUSE, *ABUSES)}, rounds
                )


def _longest_delays(gateway: AbusedGateway, name: str) -> dict[str, float]:
    gateway.longest_delays()
    if name == _NO_ABUSE:
        time.sleep(_SECONDS_WITHOUT)
    else:
        gateway.abuse(name)
    return {what: 1e3 * seconds for what, seconds in gateway.longest_delays().items()}


def _table(figures: dict[str, dict[str, Figure]]) -> Table:
    rows = [[name.replace("_", " "), *_cells(each["held"]), *_cells(each["late"])] for name, each in figures.items()]
    return Table(["", "Held, ms", "most", "Late, ms", "most"], rows)


def _cells(figure: Figure) -> list[str]:
    return [f"{figure:.1f}", f"{max(figure.values):.1f}"]


if __name__ == "__main__":
    main()
