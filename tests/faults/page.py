"""The table of faults: benchmarks/results/fault_table.md, and what docs/faults.md has of it."""

from collections.abc import Mapping
from pathlib import Path

from adapter.documents.generated_part import GeneratedPart
from benchmarks.report import RESULTS, Table, write_report
from tests.faults.callers import NUM_CALLERS
from tests.faults.listed import LISTED
from tests.faults.made import FAULTS
from tests.faults.proportion import upper_bound
from tests.faults.record import Fate, Outcome, Tally, read, tally
from tests.project import PROJECT

PAGE = RESULTS / "fault_table.md"
DOCUMENT = PROJECT / "docs" / "faults.md"
_SUMMARY = GeneratedPart("<!-- under load: make faults -->\n\n", "\n\n<!-- end of under load -->")

_METHOD = """\
*Under load*: a `torchbridge serve` with models/tiny, {callers} callers who know the text that they should be told, half
of them by streams; nobody tries anything again. A call *failed* if it was told so by a problem with a code, it was
*lost* if it had no end, and *wrong* if the text was another one than without a fault. *Not ready again* are runs after
which the server was not. *At most* is the upper end of the exact interval of 95 % (Clopper and Pearson): the rate may
be as high as that, after so few.

*In tests*: each fault is made by a test of this repository, which fails where something is lost, wrong, or not told as
it should be. *Runs* are of all its cases.

Each fault has as many runs as there was time for. Runs were counted at commit {commits}."""


def write_page(record: Path) -> None:
    """Of what the record has, which may be the half of it."""
    under_load = {fault: each for fault, each in tally(FAULTS, record).items() if each.runs}
    listed = {fault: each for fault, each in tally([each.fault for each in LISTED], record).items() if each.runs}
    commits = ", ".join(dict.fromkeys(run.commit for run in read(record)))
    write_report(
        PAGE.stem,
        title="What becomes of calls when things break",
        method=_METHOD.format(callers=NUM_CALLERS, commits=commits),
        tables=[Table(*_under_load(under_load), "Under load"), Table(*_in_tests(listed), "In tests")],
        command="make faults",
    )
    DOCUMENT.write_text(with_summary(DOCUMENT.read_text()))


def with_summary(document: str) -> str:
    """The document with the page's table of faults under load."""
    _, _, rest = PAGE.read_text().partition("## Under load\n\n")
    return _SUMMARY.replace(document, rest.partition("\n\n")[0])


def _under_load(tallies: Mapping[str, Tally]) -> tuple[list[str], list[list[str]]]:
    header = ["Fault", "Runs", "Not ready again", "Calls"]
    header += [part for fate in (Fate.FAILED, Fate.LOST, Fate.WRONG) for part in (fate.capitalize(), "at most")]
    return header, [
        [
            fault,
            str(each.runs),
            str(each.outcomes[Outcome.BROKEN]),
            str(calls := each.fates.total()),
            *_rate(each.fates[Fate.FAILED], calls),
            *_rate(each.fates[Fate.LOST], calls),
            *_rate(each.fates[Fate.WRONG], calls),
        ]
        for fault, each in tallies.items()
    ]


def _in_tests(tallies: Mapping[str, Tally]) -> tuple[list[str], list[list[str]]]:
    return ["Fault", "Runs", "Did not hold", "at most"], [
        [fault, str(each.runs), *_rate(each.outcomes[Outcome.BROKEN], each.runs)] for fault, each in tallies.items()
    ]


def _rate(seen: int, trials: int) -> tuple[str, str]:
    bound = upper_bound(seen, trials)
    return str(seen), f"{bound:.2%}" if bound < 0.1 else f"{bound:.0%}"
