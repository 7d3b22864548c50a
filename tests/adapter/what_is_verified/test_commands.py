"""Which command verifies what, against which key: the table of docs/archives.md.

It has a row for each command and a column for a key.
"""

import json
from pathlib import Path

import pytest
import typer

from adapter.archives.signature_paths import keyless_signature_path
from adapter.archives.verification import VerificationError
from tests.adapter.archives.repacking import damage, repack
from tests.adapter.versions.fake_server import FakeServer
from tests.adapter.what_is_verified.loading_commands import (
    FOREIGN_CODE,
    Command,
    each_command,
    expect_refusal,
    run,
    sign,
)
from tests.sigstore_instance import SigstoreInstance, write_identities


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


@pytest.mark.parametrize("command", ["attest", "compile"])
def test_what_vouches_for_an_archive_or_makes_code_of_it_verifies_it_first(
    archive: Path, tmp_path: Path, command: str
) -> None:
    damage(archive)
    output = ("--output", tmp_path / "steps") if command == "compile" else ()
    with pytest.raises(VerificationError, match="has changed"):
        run(command, archive, *output)
