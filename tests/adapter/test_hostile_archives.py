"""Whatever archive a command is given, it ends with one line that says what is wrong, in the memory that there is."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from zipfile import ZipFile

import pytest

from adapter import cli
from adapter.archives.archive_reader import ArchiveError
from adapter.archives.verification import VerificationError
from adapter.versions.deployment import DeploymentOptions, deploy
from adapter.versions.desired_state import DesiredVersion, desired_record
from adapter.versions.restoration import alone
from adapter.versions.server_files import ServerFiles
from adapter.versions.stored_archives import stored_archives
from tests.adapter.hostile_archives import BOMB_BYTES, MALFORMED, MISTAKEN, RECORD, write_bomb, write_long_record
from tests.adapter.versions.fake_server import Clock, FakeServer, Lines

COMMANDS = ("inspect", "bom", "probe", "verify", "scan", "attest", "compile")
ALL = MALFORMED | MISTAKEN
HEADROOM = 2**28
IN_LITTLE_MEMORY = f"""
import resource, sys
from adapter import cli
import picklescan.scanner
bytes_used = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (bytes_used + {HEADROOM},) * 2)
_, archive, *commands = sys.argv
for command in commands:
    sys.argv = ["torchbridge", command, archive]
    try:
        cli.main()
    except SystemExit as exit_:
        print(exit_.code)
"""


@pytest.mark.parametrize(
    ("command", "content"),
    [
        pytest.param(command, content, id=f"{command} {what}")
        for command in COMMANDS
        for what, content in (MALFORMED if command == "scan" else ALL).items()
    ],
)
def test_a_malformed_archive_is_refused_in_one_line(
    command: str,
    content: Callable[[], bytes],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    archive = tmp_path / "tiny-1.0.mar"
    archive.write_bytes(content())
    monkeypatch.setattr("sys.argv", ["torchbridge", command, str(archive)])

    with pytest.raises(SystemExit) as exit_:
        cli.main()

    printed = capsys.readouterr()
    assert exit_.value.code == 1
    assert printed.out == ""
    assert printed.err.startswith(f"torchbridge: {archive}")
    assert printed.err.removesuffix("\n").isprintable()


@pytest.mark.parametrize("content", ALL.values(), ids=ALL.keys())
def test_a_malformed_archive_comes_into_no_server(content: Callable[[], bytes], tmp_path: Path) -> None:
    archive = tmp_path / "tiny-1.0.mar"
    archive.write_bytes(content())
    server, files = FakeServer(tmp_path / "run", Clock()), ServerFiles(tmp_path / "run")

    for use in (
        lambda: deploy(server, archive, DeploymentOptions(), Lines()),
        lambda: desired_record("tiny", "1.0", DesiredVersion(archive=str(archive))),
        lambda: alone(archive, files, None),
    ):
        with pytest.raises((ArchiveError, VerificationError), match=str(archive)):
            use()
    assert server.stored() == []


def test_a_malformed_archive_in_the_store_is_not_listed(tmp_path: Path) -> None:
    files = ServerFiles(tmp_path)
    files.store.mkdir()
    for number, content in enumerate(ALL.values()):
        (files.store / f"tiny-{number}.mar").write_bytes(content())
    assert stored_archives(files) == []


@pytest.fixture(scope="module")
def bomb(tmp_path_factory: pytest.TempPathFactory) -> Path:
    archive = write_bomb(tmp_path_factory.mktemp("bomb") / "tiny-1.0.mar")
    with ZipFile(archive) as mar:  # to other readers it is a zip, and a bomb
        assert mar.getinfo(RECORD.decode()).file_size == BOMB_BYTES
    assert archive.stat().st_size < BOMB_BYTES / 100
    return archive


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere the limit is none")
def test_a_bomb_takes_little_memory(bomb: Path) -> None:
    refused_in_little_memory(COMMANDS, bomb)


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere the limit is none")
@pytest.mark.parametrize("size", [2**21, 2**24], ids=["as long as it may be", "longer"])
def test_a_record_of_nothing_but_mistakes_takes_little_memory(size: int, tmp_path: Path) -> None:
    refused_in_little_memory(("inspect", "verify"), write_long_record(tmp_path / "tiny-1.0.mar", size))


def refused_in_little_memory(commands: tuple[str, ...], archive: Path) -> None:
    process = subprocess.run(
        [sys.executable, "-c", IN_LITTLE_MEMORY, str(archive), *commands], capture_output=True, text=True, check=False
    )
    assert process.stdout.split() == ["1"] * len(commands), process.stderr
    lines = process.stderr.splitlines()
    assert len(lines) == len(commands)
    assert all(line.startswith(f"torchbridge: {archive}") for line in lines)
