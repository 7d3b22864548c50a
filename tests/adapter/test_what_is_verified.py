"""Which command verifies what, against which key: the table of docs/archives.md.

It has a row for each command and a column for a key.
"""

import contextlib
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import NoReturn

import pytest
import typer

from adapter import cli
from adapter.archives.archive_reader import read_record
from adapter.archives.signature import sign_file
from adapter.archives.signature_paths import keyless_signature_path
from adapter.archives.signing_keys import create_key_pair, load_private_key
from adapter.archives.verification import VerificationError
from adapter.serving import whole_stack
from adapter.versions.desired_state import DesiredState
from adapter.versions.errors import ChangeRefused, VersionError
from adapter.versions.required_key import require_key
from adapter.versions.restoration import alone, restore_others
from adapter.versions.server_state import VersionState
from tests.adapter.archives.repacking import damage, put, repack
from tests.adapter.fake_torchserve import fake_torchserve
from tests.adapter.versions.fake_server import Clock, FakeServer, Lines, let_versions_answer_as_recorded, make_archive
from tests.sigstore_instance import SigstoreInstance, write_identities

FOREIGN_CODE = put("text_generation.py", b"raise SystemExit\n")


class Started(Exception):
    """The archive's code would run now."""


@pytest.fixture
def keys(tmp_path: Path) -> Path:
    """Where release.key, release.pub and those of another are."""
    for name in ("release", "other"):
        create_key_pair(tmp_path / name)
    return tmp_path


@pytest.fixture
def public(keys: Path) -> Path:
    return keys / "release.pub"


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FakeServer:
    """With tiny 1.0, in the place of the one that the run directory stands for."""

    def start(*_: object) -> NoReturn:
        raise Started

    clock = Clock()
    for module in ("torchserve.loading", "versions.changes", "versions.deployment"):
        monkeypatch.setattr(f"adapter.{module}.time", clock)
    let_versions_answer_as_recorded(monkeypatch)
    server = FakeServer(tmp_path / "run", clock)
    server.serve("1.0")
    for module in ("apply", "versions"):
        monkeypatch.setattr(f"adapter.commands.{module}.RunningServer", lambda _: server)
    monkeypatch.setattr("adapter.commands.archive_checks.served_alone", start)
    monkeypatch.setattr(whole_stack, "check_torchserve_ports", lambda _: None)
    return server


@pytest.fixture
def lines() -> Lines:
    return Lines()


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    return make_archive(tmp_path / "release archives", "2.0")


def sign(archive: Path, keys: Path, name: str = "release") -> None:
    sign_file(archive, load_private_key(keys / f"{name}.key"))


# Each loads the archive as far as its code would run, or says why not.


def run(*arguments: object) -> None:
    cli.app([str(each) for each in arguments], standalone_mode=False)


def with_key(key: Path | None) -> tuple[object, ...]:
    return ("--key", key) if key else ()


def verify(_: FakeServer, archive: Path, key: Path | None) -> None:
    run("verify", archive, *with_key(key))


def probe(_: FakeServer, archive: Path, key: Path | None) -> None:
    with contextlib.suppress(Started):
        run("probe", archive, *with_key(key))


def deploy(_: FakeServer, archive: Path, key: Path | None) -> None:
    run("deploy", archive, *with_key(key))


def deploy_what_is_loaded(server: FakeServer, archive: Path, key: Path | None) -> None:
    load(server, archive)
    run("deploy", archive, *with_key(key))


def apply(_: FakeServer, archive: Path, key: Path | None) -> None:
    run("apply", models(archive), *with_key(key))


def plan(_: FakeServer, archive: Path, key: Path | None) -> None:
    run("apply", models(archive), "--plan", *with_key(key))


def apply_what_is_loaded(server: FakeServer, archive: Path, key: Path | None) -> None:
    load(server, archive)
    run("apply", models(archive), *with_key(key))


def serve_archive(server: FakeServer, archive: Path, key: Path | None) -> None:
    start(server, str(archive), key)


def serve_models(server: FakeServer, archive: Path, key: Path | None) -> None:
    start(server, DesiredState.read(models(archive)), key)


def models(archive: Path) -> Path:
    path = archive.with_name("models.yaml")
    versions = {"2.0": {"archive": archive.name}}
    path.write_text(json.dumps({"models": {"tiny": {"default": "2.0", "versions": versions}}}))
    return path


def load(server: FakeServer, archive: Path) -> None:
    """As if it had been loaded before anybody asked: beside the default, with what its record says."""
    deployed = server.put_into_store("2.0")
    server.management.register(deployed.archive)
    record = VersionState(archive=deployed.archive, digest=read_record(archive).digest, sha256=deployed.sha256)
    server.save(server.state.with_model("tiny", server.state.models["tiny"].with_version("2.0", record)))


def start(server: FakeServer, model: str | DesiredState | None, key: Path | None) -> list[Path]:
    """What TorchServe is started with."""
    started: list[Path] = []

    @contextlib.contextmanager
    def noting_torchserve(*_: object, **__: object) -> Iterator[SimpleNamespace]:
        with fake_torchserve() as torchserve:
            torchserve.start = started.extend
            yield torchserve

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(whole_stack, "TorchServeProcess", noting_torchserve)
        patch.setattr(whole_stack, "restore_others", lambda *_: None)
        run_directory = server.files.run_directory
        with whole_stack.running_stack(model, lambda _: None, key=key, port=0, run_directory=run_directory):
            pass
    return started


Command = Callable[[FakeServer, Path, Path | None], None]
LOADING = [
    verify,
    probe,
    deploy,
    deploy_what_is_loaded,
    apply,
    plan,
    apply_what_is_loaded,
    serve_archive,
    serve_models,
]
each_command = pytest.mark.parametrize("command", LOADING, ids=lambda command: command.__name__)


def expect_refusal(server: FakeServer, archive: Path, key: Path | None, command: Command, reason: str) -> None:
    served = server.state.models["tiny"].default
    with pytest.raises((VerificationError, ChangeRefused), match=reason):
        command(server, archive, key)
    assert ("set_default", "tiny", "2.0") not in server.management.changes
    assert server.state.models["tiny"].default == served == "1.0"


@each_command
def test_without_a_key_it_takes_what_is_whole_and_of_this_installation(
    server: FakeServer, archive: Path, command: Command
) -> None:
    command(server, archive, None)


@each_command
def test_without_a_key_it_refuses_a_damaged_file(server: FakeServer, archive: Path, command: Command) -> None:
    damage(archive)
    expect_refusal(server, archive, None, command, "has changed")


@each_command
def test_without_a_key_it_refuses_code_that_is_not_this_installations(
    server: FakeServer, archive: Path, keys: Path, command: Command
) -> None:
    repack(archive, FOREIGN_CODE)
    sign(archive, keys)
    expect_refusal(server, archive, None, command, "no key vouches for it")


@each_command
def test_with_a_key_it_takes_what_is_signed_whatever_its_code(
    server: FakeServer, archive: Path, keys: Path, public: Path, command: Command
) -> None:
    repack(archive, FOREIGN_CODE)
    sign(archive, keys)
    command(server, archive, public)


@each_command
def test_with_a_key_it_refuses_what_is_not_signed(
    server: FakeServer, archive: Path, public: Path, command: Command
) -> None:
    expect_refusal(server, archive, public, command, "it is not signed")


@each_command
def test_with_a_key_it_refuses_what_another_has_signed(
    server: FakeServer, archive: Path, keys: Path, public: Path, command: Command
) -> None:
    sign(archive, keys, "other")
    expect_refusal(server, archive, public, command, "signed with another key")


@each_command
def test_with_a_key_it_refuses_a_damaged_file(
    server: FakeServer, archive: Path, keys: Path, public: Path, command: Command
) -> None:
    sign(archive, keys)
    damage(archive)
    expect_refusal(server, archive, public, command, "has changed")


@each_command
def test_identities_stand_in_the_place_of_a_key(
    server: FakeServer, archive: Path, tmp_path: Path, command: Command
) -> None:
    instance = SigstoreInstance()
    repack(archive, FOREIGN_CODE)
    keyless_signature_path(archive).write_text(json.dumps(instance.sign(archive)))
    command(server, archive, write_identities(tmp_path, instance))


@each_command
def test_with_identities_it_refuses_what_another_has_signed(
    server: FakeServer, archive: Path, tmp_path: Path, command: Command
) -> None:
    instance = SigstoreInstance()
    bundle = instance.sign(archive, subject="https://github.com/another/models")
    keyless_signature_path(archive).write_text(json.dumps(bundle))
    identities = write_identities(tmp_path, instance)
    expect_refusal(server, archive, identities, command, "it is signed by https://github.com/another/models")


@each_command
def test_a_key_that_is_not_there_is_said(server: FakeServer, archive: Path, tmp_path: Path, command: Command) -> None:
    absent = tmp_path / "absent.pub"
    with pytest.raises((FileNotFoundError, typer.BadParameter)) as refusal:
        command(server, archive, absent)
    assert str(absent) in str(refusal.value)
    if isinstance(refusal.value, typer.BadParameter):
        assert "--key" in refusal.value.format_message()


# What the server packs itself


def test_what_is_packed_here_cannot_be_signed_and_a_key_refuses_it(
    server: FakeServer, tmp_path: Path, public: Path
) -> None:
    server.files.state.unlink()  # there is nothing that was served before
    for model in (str(tmp_path), None):
        with pytest.raises(ChangeRefused, match="would be packed here, and so is not signed with"):
            start(server, model, public)


# A start from the record, and a restart


def recorded(server: FakeServer, archive: Path, key: Path | None) -> Path:
    """The server's copy of an archive that was verified, and served when the server ended."""
    alone(archive, server.files, key).model_copy(update={"is_changed": True}).write(server.files.state)
    return server.files.store / archive.name


def test_a_start_from_the_record_takes_the_files_that_were_verified_whoever_vouched_for_them(
    server: FakeServer, archive: Path, keys: Path, public: Path
) -> None:
    repack(archive, FOREIGN_CODE)
    sign(archive, keys)
    stored = recorded(server, archive, public)
    assert start(server, None, None) == [stored]
    assert start(server, None, public) == [stored]


def test_a_start_from_the_record_refuses_another_file(server: FakeServer, archive: Path, tmp_path: Path) -> None:
    stored = recorded(server, archive, None)
    make_archive(tmp_path / "other", "2.0", weight_bytes=48).replace(stored)
    with pytest.raises(VersionError, match=r"tiny-2\.0\.mar is not the file that was verified \(SHA-256 "):
        start(server, None, None)


@pytest.mark.parametrize(("signer", "reason"), [(None, "it is not signed"), ("other", "signed with another key")])
def test_a_start_from_the_record_with_a_key_refuses_what_it_does_not_vouch_for(
    server: FakeServer, archive: Path, keys: Path, public: Path, *, signer: str | None, reason: str
) -> None:
    if signer:
        sign(archive, keys, signer)
    recorded(server, archive, None)
    with pytest.raises(VerificationError, match=reason):
        start(server, None, public)


def test_a_restart_leaves_out_a_version_whose_file_is_another_by_now(
    server: FakeServer, tmp_path: Path, lines: Lines
) -> None:
    server.serve("2.0", "3.0")
    make_archive(tmp_path / "other", "1.0", weight_bytes=48).replace(server.store.path("tiny-1.0.mar"))
    for version in ("1.0", "2.0"):
        server.management.unregister("tiny", version)
    server.management.changes.clear()
    restore_others(lambda: server, lines)
    assert server.management.changes == [("register", "tiny-2.0.mar")]
    assert any(line.startswith("tiny 1.0 is left out: ") and "not the file that was verified" in line for line in lines)


# A server that was started with a key


def test_a_server_asks_for_its_key_as_long_as_it_runs(
    server: FakeServer, archive: Path, keys: Path, public: Path
) -> None:
    require_key(server.files, public)
    for command in (deploy, apply, plan):
        expect_refusal(server, archive, None, command, "it is not signed")
    sign(archive, keys)
    deploy(server, archive, None)
    assert server.state.models["tiny"].default == "2.0"


def test_a_command_cannot_bring_a_key_of_its_own_to_a_server_that_has_one(
    server: FakeServer, archive: Path, keys: Path, public: Path
) -> None:
    require_key(server.files, public)
    sign(archive, keys, "other")
    for command in (deploy, apply, plan):
        expect_refusal(server, archive, keys / "other.pub", command, "is not the key that this server was started with")


def test_a_server_keeps_the_identities_and_their_root_as_they_were_when_it_started(
    server: FakeServer, archive: Path, tmp_path: Path
) -> None:
    instance = SigstoreInstance()
    identities = write_identities(tmp_path, instance)
    require_key(server.files, identities)
    write_identities(tmp_path, SigstoreInstance())
    expect_refusal(server, archive, identities, deploy, "is not the key that this server was started with")
    keyless_signature_path(archive).write_text(json.dumps(instance.sign(archive)))
    deploy(server, archive, None)
    assert server.state.models["tiny"].default == "2.0"


def test_a_start_says_anew_which_key_is_asked_for(server: FakeServer, archive: Path, keys: Path, public: Path) -> None:
    sign(archive, keys)
    start(server, str(archive), public)
    assert server.files.public_key.read_bytes() == public.read_bytes()
    start(server, str(archive), None)
    assert not server.files.public_key.exists()


# The others


@pytest.mark.parametrize("command", ["attest", "compile"])
def test_what_vouches_for_an_archive_or_makes_code_of_it_verifies_it_first(
    archive: Path, tmp_path: Path, command: str
) -> None:
    damage(archive)
    output = ("--output", tmp_path / "steps") if command == "compile" else ()
    with pytest.raises(VerificationError, match="has changed"):
        run(command, archive, *output)
