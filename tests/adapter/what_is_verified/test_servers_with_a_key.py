"""A server that was started with a key asks for it."""

import json
from pathlib import Path

from adapter.archives.signature_paths import keyless_signature_path
from adapter.versions.required_key import require_key
from tests.adapter.versions.fake_server import FakeServer
from tests.adapter.what_is_verified.loading_commands import apply, deploy, expect_refusal, plan, sign, start
from tests.sigstore_instance import SigstoreInstance, write_identities


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
