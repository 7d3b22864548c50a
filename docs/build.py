"""Builds the documents into a site that needs no network: `python -m docs.build DIRECTORY`, strictly.

Its pages are README.md, those of docs/, and every document that one of them links to. docs/README.md is the navigation.
A file of the code that a page links to is shown as it is.
"""

import json
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[1]
CONFIGURATION = PROJECT / "docs" / "site.toml"
INDEX = PROJECT / "docs" / "README.md"

_FENCED = re.compile(r"^```.*?^```$", re.MULTILINE | re.DOTALL)
_LINK = re.compile(r"\[(?P<text>[^\]]*)\]\((?P<file>[^)\s#:]+)(?P<anchor>#[^)\s]*)?\)")
_SECTION = re.compile(r"^## (?P<title>.+)\n(?P<entries>(?:\n|- .*\n?)+)", re.MULTILINE)


def links_of(document: Path) -> Iterator[Path]:
    """The files and directories of this project that it links to."""
    for link in _LINK.finditer(_FENCED.sub("", document.read_text(encoding="utf-8"))):
        target = (document.parent / link["file"]).resolve()
        if target.is_relative_to(PROJECT) and target.exists():
            yield target


def linked_files() -> list[Path]:
    """The documents of the site, and what they show or link to."""
    found, unseen = set(), {PROJECT / "README.md", *INDEX.parent.glob("*.md")}
    while unseen:
        found |= unseen
        documents = {file for file in unseen if file.suffix == ".md"}
        unseen = {target for document in documents for target in links_of(document) if target.is_file()} - found
    return sorted(found)


def page_of(file: Path) -> Path:
    """Where it lies among the pages: as in the project, but a README is the page of its directory."""
    return file.relative_to(PROJECT).with_name("index.md" if file.name == "README.md" else file.name)


def with_links_to_pages(document: Path) -> str:
    """A directory is no page, so what links to one is text."""

    def link(found: re.Match[str]) -> str:
        target = document.parent / found["file"]
        if target.is_dir():
            return found["text"]
        return found[0].replace("README.md", "index.md")

    text = document.read_text(encoding="utf-8")
    fences = [*_FENCED.findall(text), ""]
    prose = [_LINK.sub(link, part) for part in _FENCED.split(text)]
    return "".join(part for pair in zip(prose, fences, strict=True) for part in pair)


def navigation() -> list[dict[str, object]]:
    """The sections of docs/README.md; a page of docs/ that it does not name comes after them."""
    sections: list[dict[str, object]] = [{"Torchbridge": "index.md"}]
    named = {INDEX}
    for section in _SECTION.finditer(INDEX.read_text(encoding="utf-8")):
        entries = []
        for link in _LINK.finditer(section["entries"]):
            target = (INDEX.parent / link["file"]).resolve()
            named.add(target)
            entries.append({link["text"]: str(page_of(target))})
        sections.append({section["title"]: entries})
    if others := sorted(set(INDEX.parent.glob("*.md")) - named):
        sections.append({"More": [{title_of(page): str(page_of(page))} for page in others]})
    return sections


def title_of(page: Path) -> str:
    return page.read_text(encoding="utf-8").partition("\n")[0].removeprefix("# ")


def write_pages(directory: Path) -> None:
    for file in linked_files():
        page = directory / page_of(file)
        page.parent.mkdir(parents=True, exist_ok=True)
        if file.suffix == ".md":
            page.write_text(with_links_to_pages(file), encoding="utf-8")
        else:
            shutil.copyfile(file, page)


def as_toml(value: object) -> str:
    """A text is written in TOML as in JSON."""
    match value:
        case dict():
            return f"{{ {', '.join(f'{json.dumps(name)} = {as_toml(each)}' for name, each in value.items())} }}"
        case list():
            return f"[{', '.join(map(as_toml, value))}]"
    return json.dumps(value, ensure_ascii=False)


def build(site: Path) -> None:
    """Raises CalledProcessError where a link leads nowhere."""
    with tempfile.TemporaryDirectory() as directory:
        workplace = Path(directory)
        write_pages(workplace / "pages")
        settings = CONFIGURATION.read_text(encoding="utf-8")
        (workplace / "zensical.toml").write_text(settings.replace("nav = []", f"nav = {as_toml(navigation())}"))
        command = [str(Path(sys.executable).with_name("zensical")), "build", "--clean", "--strict"]
        subprocess.run(command, cwd=workplace, check=True)  # noqa: S603 - no word of it comes from outside
        shutil.rmtree(site, ignore_errors=True)
        shutil.copytree(workplace / "site", site)


if __name__ == "__main__":
    build(Path(sys.argv[1]))
