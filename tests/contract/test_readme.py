from pathlib import Path

from adapter.schema import ERROR_CATALOGUE

README = (Path(__file__).parents[2] / "README.md").read_text(encoding="utf-8")


def test_error_table_is_the_catalogue() -> None:
    table = [line for line in README.splitlines() if line.startswith("| `") and line.count("|") == 5]

    assert table == [
        f"| `{code}` | {kind.status} | {'yes' if kind.retryable else 'no'} | {kind.title} |"
        for code, kind in ERROR_CATALOGUE.items()
    ]


def test_files_that_it_names_are_there() -> None:
    root = Path(__file__).parents[2]
    named = {word.strip("`") for word in README.replace("(", " ").replace(")", " ").split() if ".py" in word}
    named = {word.rstrip(".,;:`") for word in named}

    assert {name for name in named if not (root / name).is_file()} == set()
