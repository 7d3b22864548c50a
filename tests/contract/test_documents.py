"""What a reader may follow is there: links to files, to places in pages, and commands of the Makefile."""

import re
from pathlib import Path

import pytest

from tests.documents import DOCS, name_of, prose_of
from tests.project import PROJECT

DOCUMENTS = [
    *sorted(DOCS.glob("*.md")),
    *(
        PROJECT / name
        for name in (
            "README.md",
            "SECURITY.md",
            "CONTRIBUTING.md",
            "deploy/README.md",
            "ts-client/README.md",
            "ts-client/examples/nextjs/README.md",
            "torchbridge/README.md",
            "models/tiny/README.md",
        )
    ),
]
MAKEFILE = (PROJECT / "Makefile").read_text()


def anchors_of(document: Path) -> set[str]:
    """As GitHub makes them of headings."""
    headings = re.findall(r"^#+ (.+)$", prose_of(document), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def links_of(document: Path) -> list[str]:
    return [link for link in re.findall(r"\]\(([^)\s]+)\)", prose_of(document)) if "://" not in link]


@pytest.mark.parametrize("document", DOCUMENTS, ids=name_of)
def test_every_link_leads_somewhere(document: Path) -> None:
    dead = []
    for link in links_of(document):
        file, _, anchor = link.partition("#")
        target = document.parent / file if file else document
        if not target.exists() or (anchor and anchor not in anchors_of(target)):
            dead.append(link)
    assert dead == []


@pytest.mark.parametrize("document", DOCUMENTS, ids=name_of)
def test_every_command_of_make_is_one(document: Path) -> None:
    named = set(re.findall(r"(?:^(?: {4})?|`)make ([a-z][a-z_-]*)", document.read_text(), re.MULTILINE))
    patterns = re.findall(r"^([a-z_-]*)%:", MAKEFILE, re.MULTILINE)
    targets = set(re.findall(r"^([a-z][a-z_-]*):", MAKEFILE, re.MULTILINE))
    assert {name for name in named - targets if not any(name.startswith(pattern) for pattern in patterns)} == set()


def test_there_are_links_and_commands_to_look_at() -> None:
    assert links_of(PROJECT / "README.md")
    assert "make test" in (PROJECT / "CONTRIBUTING.md").read_text()


def test_the_readme_is_read_in_one_sitting() -> None:
    assert len((PROJECT / "README.md").read_text().splitlines()) <= 150, "a page of docs/ is the place for more"


def test_the_map_has_each_room_of_the_adapter() -> None:
    rooms = {path.parent.name for path in (PROJECT / "adapter").glob("*/*") if path.is_file()} - {"__pycache__"}
    assert set(re.findall(r"`adapter/(\w+)/`", (DOCS / "how-it-works.md").read_text())) == rooms
