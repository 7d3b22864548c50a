"""What docs/faults.md shows of the table is what the table says."""

from tests.faults.page import DOCUMENT, with_summary


def test_the_document_has_the_pages_table() -> None:
    document = DOCUMENT.read_text()
    assert "\n| no fault | " in document
    assert with_summary(document) == document, "run `make faults GO_ON=1 ROUNDS=0`"
