"""The site of the documents: all are in it, each link leads somewhere, and it asks no other host for anything."""

import re
import subprocess
from contextlib import nullcontext
from html.parser import HTMLParser
from pathlib import Path

import pytest

from docs.build import INDEX, build, navigation, page_of, with_links_to_pages
from tests.documents import DOCS
from tests.project import PROJECT


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("documents") / "site"
    build(directory)
    return directory


class _Loaded(HTMLParser):
    """What a browser loads for a page, beside the page."""

    def __init__(self) -> None:
        super().__init__()
        self.addresses: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        named = dict(attrs)
        is_loaded = tag in {"script", "img", "iframe"} or (tag == "link" and named.get("rel") != "canonical")
        if is_loaded and (address := named.get("src") or named.get("href")):
            self.addresses.append(address)


def test_every_page_of_docs_is_in_it(site: Path) -> None:
    pages = [page_of(document).with_suffix(".html") for document in DOCS.glob("*.md")]
    assert [page for page in pages if not (site / page).is_file()] == []


def test_it_has_the_documents_that_lie_beside_the_code(site: Path) -> None:
    for page in ("index", "SECURITY", "CONTRIBUTING", "CHANGELOG", "ts-client/index", "deploy/index"):
        assert (site / f"{page}.html").is_file()


def test_no_page_loads_anything_from_another_host(site: Path) -> None:
    for page in site.rglob("*.html"):
        loaded = _Loaded()
        loaded.feed(page.read_text(encoding="utf-8"))
        assert [address for address in loaded.addresses if "://" in address or address.startswith("//")] == [], page


def test_the_pictures_that_pages_show_are_there(site: Path) -> None:
    page = (site / "docs" / "performance.html").read_text(encoding="utf-8")
    pictures = re.findall(r'<img [^>]*src="([^"]+)"', page)
    assert pictures
    assert [picture for picture in pictures if not (site / "docs" / picture).is_file()] == []


def test_the_navigation_has_each_page_of_docs_once() -> None:
    entries = [entry for section in navigation() for entry in section.values()]
    pages = [page for entry in entries if isinstance(entry, list) for each in entry for page in each.values()]
    assert len(pages) == len(set(pages))
    assert {str(page_of(document)) for document in DOCS.glob("*.md")} - {"docs/index.md"} <= set(pages)


@pytest.fixture
def small_project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    project = tmp_path / "project"
    (project / "docs").mkdir(parents=True)
    (project / "docs" / "README.md").write_text("# Documentation\n")
    (project / "docs" / "errors.md").write_text("# Errors\n\n## Codes\n")
    monkeypatch.setattr("docs.build.PROJECT", project)
    monkeypatch.setattr("docs.build.INDEX", project / "docs" / "README.md")
    return project


@pytest.mark.parametrize(("link", "fails"), [("#codes", False), ("#nothing", True)], ids=["right", "wrong"])
def test_a_link_that_leads_nowhere_fails_the_build(small_project: Path, *, link: str, fails: bool) -> None:
    (small_project / "README.md").write_text(f"# Torchbridge\n\n[codes](docs/errors.md{link})\n")
    with pytest.raises(subprocess.CalledProcessError) if fails else nullcontext():
        build(small_project / "site")


@pytest.mark.usefixtures("small_project")
def test_a_page_that_the_index_does_not_name_comes_last() -> None:
    assert navigation()[-1] == {"More": [{"Errors": "docs/errors.md"}]}


def test_a_link_to_a_directory_is_text_and_one_to_a_readme_is_the_directorys_page() -> None:
    text = with_links_to_pages(PROJECT / "deploy" / "README.md")
    assert "(helm/torchbridge)" not in text
    assert "../deploy/index.md" in with_links_to_pages(INDEX)
