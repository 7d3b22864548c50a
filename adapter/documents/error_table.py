"""Writes the catalogue of errors into docs/errors.md, between two marks: `python -m adapter.documents.error_table`."""

from adapter.documents.generated_part import GeneratedPart
from adapter.installation import CODE
from adapter.schema import ERROR_CATALOGUE

PAGE = CODE / "docs" / "errors.md"

_TABLE = GeneratedPart(
    "<!-- `make generate` writes this table from adapter/schema/problems.py -->\n\n",
    "\n<!-- the end of the table -->\n",
)


def with_error_table(document: str) -> str:
    return _TABLE.replace(document, _error_table())


def _error_table() -> str:
    rows = ["| code | status | retry | what it says |", "|---|---|---|---|"]
    rows += [
        f"| `{code}` | {kind.status} | {'yes' if kind.retryable else 'no'} | {kind.title} |"
        for code, kind in ERROR_CATALOGUE.items()
    ]
    return "".join(f"{row}\n" for row in rows)


if __name__ == "__main__":
    PAGE.write_text(with_error_table(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
