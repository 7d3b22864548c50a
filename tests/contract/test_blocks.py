"""Every block of code in README.md and docs/ is run or checked.

Programs in Python and lines of curl run in tests/end_to_end/test_documents.py, those in TypeScript in
ts-client/test/package.test.ts.
"""

import ast
import json
import re
import shlex
import subprocess
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import yaml
from typer.testing import CliRunner

from adapter.cli import app
from adapter.schema import GenerationRequest, Problem
from adapter.simulator.script import Script
from adapter.validation.settings_file import read_settings
from adapter.versions.desired_state import DesiredState
from tests.documents import BLOCKS, DOCS, WITH_BLOCKS, Block, blocks_of, name_of, prose_of, runnable
from tests.project import PROJECT

LANGUAGES = {"bash", "console", "haproxy", "json", "python", "text", "toml", "ts", "yaml"}
MOST_NOT_RUN = 20  # raise it by one for a block that only a cluster, a container or a registry could run
MAKEFILE = (PROJECT / "Makefile").read_text()
# Of files that have a form of ours, by the first line of the block.
FORMS: dict[str, Callable[[Path], object]] = {
    "# models.yaml": DesiredState.read,
    "# script.yaml": Script.read,
    "# gateway.toml": read_settings,
}

each_block = pytest.mark.parametrize("block", BLOCKS, ids=lambda block: block.place)


def of(language: str) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("block", runnable(language), ids=lambda block: block.place)


def statements(code: str) -> Iterator[list[str]]:
    """The words of each command, without variables before it."""
    for line in code.replace("\\\n", " ").splitlines():
        for part in re.split(r"&&|\|\||[|;]", line) if "'" not in line else [line]:
            words = shlex.split(part, comments=True)
            while words and re.match(r"\w+=", words[0]):
                words.pop(0)
            if words:
                yield words


@each_block
def test_a_block_says_its_language(block: Block) -> None:
    assert block.language in LANGUAGES


@pytest.mark.parametrize("document", WITH_BLOCKS, ids=name_of)
def test_no_code_is_hidden_from_these_tests_by_indentation(document: Path) -> None:
    assert re.findall(r"\n\n {4,}(\S.*)", prose_of(document)) == []


@pytest.mark.parametrize("document", WITH_BLOCKS, ids=name_of)
def test_each_fence_belongs_to_a_block(document: Path) -> None:
    fences = re.findall(r"^\s*```", document.read_text(encoding="utf-8"), re.MULTILINE)
    assert len(fences) == 2 * len(blocks_of(document))


def test_few_blocks_are_not_run() -> None:
    not_run = [f"{block.place}: {block.not_run}" for block in BLOCKS if block.not_run is not None]
    assert len(not_run) <= MOST_NOT_RUN, not_run


@pytest.mark.parametrize(
    "block", [block for block in BLOCKS if block.language == "bash"], ids=lambda block: block.place
)
def test_a_shell_can_read_it(block: Block) -> None:
    if block.language != "bash":
        return
    done = subprocess.run(["bash", "-n"], input=block.code, text=True, capture_output=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


@of("bash")
def test_its_commands_are_those_of_the_command_line_and_of_make(block: Block) -> None:
    for program, *arguments in statements(block.code):
        if Path(program).name == "torchbridge":
            assert is_command(arguments), arguments
        elif program == "make":
            assert all(is_target(word) for word in arguments if "=" not in word), arguments
        elif program == "source":
            assert arguments == [".venv/bin/activate"]
        else:
            assert program == "curl", f"{program} is not run here: say so, as tests/documents.py says"


def is_command(arguments: list[str]) -> bool:
    """Whether the command line knows the command and its options: help is shown before they do anything."""
    return CliRunner().invoke(app, [*arguments, "--help"]).exit_code == 0


def is_target(name: str) -> bool:
    return bool(re.search(rf"^{re.escape(name)}:", MAKEFILE, re.MULTILINE)) or name.startswith("bench-")


@pytest.mark.parametrize(
    "arguments", [["serv"], ["serve", "--modell", "x"], ["canary", "2.0", "--part", "5"]], ids=" ".join
)
def test_a_command_that_there_is_not_would_be_found(arguments: list[str]) -> None:
    assert not is_command(arguments)


@of("json")
def test_json_is_a_request_or_an_answer(block: Block) -> None:
    content = json.loads(block.code)
    if "code" in content:
        Problem.model_validate(content)
    elif "prompt" in content:
        GenerationRequest.model_validate(content)


@of("yaml")
def test_yaml_can_be_read(block: Block) -> None:
    assert yaml.safe_load(block.code)


@of("toml")
def test_toml_can_be_read(block: Block) -> None:
    assert tomllib.loads(block.code)


@pytest.mark.parametrize("form", FORMS)
def test_a_file_of_ours_is_one_that_the_command_takes(form: str, tmp_path: Path) -> None:
    shown = [block for block in BLOCKS if block.code.startswith(f"{form}\n")]
    assert shown
    for block in shown:
        file = tmp_path / form.removeprefix("# ")
        file.write_text(block.code, encoding="utf-8")
        FORMS[form](file)


def test_the_step_of_a_workflow_gives_the_action_what_it_takes() -> None:
    [block] = [block for block in BLOCKS if "/.github/actions/package@" in block.code]
    [step] = yaml.safe_load(block.code)
    action = yaml.safe_load((PROJECT / ".github" / "actions" / "package" / "action.yml").read_text())
    assert set(step["with"]) <= set(action["inputs"])


@of("python")
def test_python_can_be_read(block: Block) -> None:
    ast.parse(block.code)


@pytest.mark.parametrize("document", WITH_BLOCKS, ids=name_of)
def test_files_that_it_names_are_there(document: Path) -> None:
    named = {name.removeprefix("../") for name in re.findall(r"[\w./-]+/[\w.-]+\.py\b", prose_of(document))}
    assert {name for name in named if not (PROJECT / name).is_file()} == set()


@pytest.mark.parametrize("document", WITH_BLOCKS, ids=name_of)
def test_what_it_names_in_a_file_is_in_it(document: Path) -> None:
    """As in: `adapter/schema/problems.py` (`ErrorCode`)."""
    for name, symbols in re.findall(r"`([\w./-]+\.py)`\]?(?:\([^)]*\))? \(((?:`\w+`(?:, )?)+)\)", prose_of(document)):
        code = (PROJECT / name).read_text(encoding="utf-8")
        for symbol in re.findall(r"\w+", symbols):
            assert re.search(rf"^ *(async def|def|class) {symbol}\b|^{symbol}\b.* = ", code, re.MULTILINE), (
                name,
                symbol,
            )


def test_the_pages_name_files_and_what_is_in_them() -> None:
    page = prose_of(DOCS / "how-it-works.md")
    assert len(re.findall(r"`[\w./-]+\.py`\]?(?:\([^)]*\))? \(`\w+`", page)) > 10
