"""The wheel as a user has it: in an environment of its own, run in an empty directory, with no checkout near."""

import json
import os
import re
import site
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Iterable, Iterator
from email.message import Message
from email.parser import Parser
from importlib.metadata import Distribution, distribution
from pathlib import Path

import pytest
import requests
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.end_to_end.serve_command import read_until, url_in
from tests.free_ports import free_ports, torchserve_properties
from tests.processes import processes_of
from tests.project import PROJECT
from tests.waiting import wait_until

pytestmark = pytest.mark.torchserve

# Only tests and the TypeScript client's build need them.
NOT_NEEDED = re.compile(r"nodejs|pytest|matplotlib|playwright|hatchling|mypy|ruff")


def built(source: Path, directory: Path) -> Path:
    command = [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", str(directory)]
    subprocess.run(command, cwd=source, check=True, timeout=300)
    [wheel] = directory.glob("*.whl")
    return wheel


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return built(PROJECT, tmp_path_factory.mktemp("dist"))


@pytest.fixture(scope="module")
def client_wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return built(PROJECT / "torchbridge", tmp_path_factory.mktemp("dist"))


def environment_with(directory: Path, *wheels: Path) -> Path:
    """The directory of packages of a new environment, which has the wheels and nothing that they depend on."""
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(directory)], check=True, timeout=300)
    install = [sys.executable, "-m", "pip", "--python", str(directory / "bin" / "python"), "install", "--no-index"]
    # Of all their files few are ever imported: Python compiles those when they are.
    subprocess.run([*install, "--no-deps", "--no-compile", *map(str, wheels)], check=True, timeout=300)
    [packages] = (directory / "lib").glob("python*/site-packages")
    return packages


@pytest.fixture(scope="module")
def commands(wheel: Path, client_wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The programs of an environment that has the wheels, and what they depend on from this one."""
    environment = tmp_path_factory.mktemp("environment")
    own = environment_with(environment, wheel, client_wheel)
    # A path that a .pth file adds is not looked through for others, such as the one of an editable checkout.
    (own / "dependencies.pth").write_text("\n".join(site.getsitepackages()))
    return environment / "bin"


def needed_distributions(requirements: Iterable[str]) -> Iterator[Distribution]:
    """Of this environment, what installing these would install."""
    seen: set[str] = set()
    unseen = [Requirement(each) for each in requirements]
    while unseen:
        requirement = unseen.pop()
        is_meant = requirement.marker is None or requirement.marker.evaluate({"extra": ""})
        if is_meant and canonicalize_name(requirement.name) not in seen:
            seen.add(canonicalize_name(requirement.name))
            found = distribution(requirement.name)
            yield found
            unseen += [Requirement(each) for each in found.requires or ()]


@pytest.fixture(scope="module")
def python_with_the_client_alone(client_wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    environment = tmp_path_factory.mktemp("environment")
    own = environment_with(environment, client_wheel)
    for needed in needed_distributions(metadata_of(client_wheel).get_all("Requires-Dist", [])):
        for name in {file.parts[0] for file in needed.files or () if file.parts[0] not in ("..", "__pycache__")}:
            (own / name).symlink_to(needed.locate_file(name))
    return environment / "bin" / "python"


@pytest.fixture
def home() -> Iterator[Path]:
    """With a short name, as people's are: sockets lie below it."""
    with tempfile.TemporaryDirectory() as directory:
        yield Path(directory)


@pytest.fixture
def surroundings(home: Path) -> dict[str, str]:
    kept = {name: os.environ[name] for name in ("PATH", "LANG", "OMP_NUM_THREADS") if name in os.environ}
    return kept | {"HOME": str(home), "TORCHBRIDGE_COMPILE": "false", "HF_HUB_OFFLINE": "1"}


@pytest.fixture
def empty(tmp_path: Path) -> Path:
    directory = tmp_path / "empty"
    directory.mkdir()
    return directory


def metadata_of(wheel: Path) -> Message:
    with zipfile.ZipFile(wheel) as files:
        [name] = [each for each in files.namelist() if each.endswith(".dist-info/METADATA")]
        return Parser().parsestr(files.read(name).decode())


def names_in(wheel: Path) -> set[str]:
    with zipfile.ZipFile(wheel) as files:
        return {name for name in files.namelist() if ".dist-info/" not in name}


def torchserve_config(directory: Path, wheel: Path) -> Path:
    """The wheel's own on ports that are free."""
    with zipfile.ZipFile(wheel) as files:
        content = files.read("torchbridge/shipped/config.properties").decode()
    config = directory / "torchserve.properties"
    config.write_text("\n".join([content, *(f"{name}={value}" for name, value in torchserve_properties().items()), ""]))
    return config


def test_a_server_answers_from_an_empty_directory_and_writes_nothing_there(
    commands: Path, wheel: Path, surroundings: dict[str, str], empty: Path, tmp_path: Path
) -> None:
    command = [str(commands / "torchbridge"), "serve", "--port", "0"]
    command += ["--torchserve-config", str(torchserve_config(tmp_path, wheel))]
    with subprocess.Popen(
        command, cwd=empty, env=surroundings, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as server:
        try:
            url = url_in(read_until(server, "curl"))
            answer = requests.post(f"{url}/generate", json={"prompt": "Once upon a time", "max_length": 3}, timeout=120)
            # From any directory: the server is the user's.
            status, top, doctor = (
                subprocess.run(
                    [str(commands / "torchbridge"), *words],
                    cwd=tmp_path,
                    env=surroundings,
                    capture_output=True,
                    text=True,
                    check=False,
                    timeout=120,
                )
                for words in (["status"], ["top", "--json"], ["doctor", "--json"])
            )
        finally:
            server.terminate()
            server.communicate()
    assert answer.json()["tokens_generated"] == 3
    assert "tiny" in status.stdout
    [row] = json.loads(top.stdout)
    assert (row["status"]["model"], row["rates"]["failures_per_second"]) == ("tiny", 0)
    assert row["worker_memory_bytes"] > 10**8
    assert [each["what"] for each in json.loads(doctor.stdout)["findings"] if each["severity"] == "wrong"] == []
    assert list(empty.iterdir()) == []
    state = Path(surroundings["HOME"]) / ".local" / "state" / "torchbridge"
    assert state.is_dir()
    wait_until(lambda: not processes_of(state))


def test_an_archive_is_packed_to_where_the_command_was_given(
    commands: Path, surroundings: dict[str, str], empty: Path
) -> None:
    model = PROJECT / "models" / "tiny"
    command = [str(commands / "torchbridge"), "pack", str(model), "--name", "tiny", "--version", "1.0"]
    subprocess.run(command, cwd=empty, env=surroundings, check=True, timeout=300)
    assert [file.relative_to(empty) for file in empty.rglob("*.mar")] == [Path("model_store/tiny-1.0.mar")]


def test_a_program_imports_the_client_by_the_project_s_name(
    commands: Path, surroundings: dict[str, str], empty: Path
) -> None:
    program = "import torchbridge; print(torchbridge.GatewayClient, torchbridge.__file__)"
    command = [str(commands / "python"), "-c", program]
    done = subprocess.run(command, cwd=empty, env=surroundings, capture_output=True, text=True, check=True, timeout=120)
    assert "GatewayClient" in done.stdout
    assert str(commands.parent) in done.stdout


def test_the_client_alone_needs_nothing_but_what_it_asks_for(
    python_with_the_client_alone: Path, surroundings: dict[str, str], empty: Path
) -> None:
    program = f"""
import importlib.util
from torchbridge import ConnectionRefused, GatewayClient
assert [name for name in ("torch", "fastapi", "handlers", "adapter.gateway") if importlib.util.find_spec(name)] == []
try:
    GatewayClient("http://127.0.0.1:{free_ports(1)[0]}", max_retries=0).generate_text(prompt="Once")
except ConnectionRefused:
    print("asked")
"""
    command = [str(python_with_the_client_alone), "-W", "error", "-c", program]
    done = subprocess.run(
        command, cwd=empty, env=surroundings, capture_output=True, text=True, check=False, timeout=120
    )
    assert (done.stdout, done.stderr) == ("asked\n", "")


def test_no_file_is_in_both_wheels(wheel: Path, client_wheel: Path) -> None:
    assert names_in(wheel) & names_in(client_wheel) == set()


def test_what_only_tests_need_is_not_asked_for(wheel: Path) -> None:
    needed = [each for each in metadata_of(wheel).get_all("Requires-Dist", []) if "extra ==" not in each]
    assert [each for each in needed if NOT_NEEDED.match(each)] == []
    assert {name.split("/")[0] for name in names_in(wheel)} == {"adapter", "handlers", "torchbridge"}
    assert "torchbridge/shipped/models/tiny/model.safetensors" in names_in(wheel)
