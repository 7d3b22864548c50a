import hashlib
import json
from base64 import b64decode
from pathlib import Path
from typing import Any

import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from google.protobuf.json_format import ParseDict
from in_toto_attestation.predicates.provenance.v1.provenance_pb2 import Provenance
from in_toto_attestation.v1.statement_pb2 import Statement

from adapter.archives.archive_reader import read_record
from adapter.archives.dsse import IN_TOTO, authenticated
from adapter.archives.provenance import attest
from adapter.archives.signing_keys import create_key_pair, load_private_key, load_public_key
from adapter.archives.verification import VerificationError

GITHUB = {
    "GITHUB_SERVER_URL": "https://github.com",
    "GITHUB_REPOSITORY": "someone/models",
    "GITHUB_SHA": "0123456789abcdef0123456789abcdef01234567",
    "GITHUB_WORKFLOW_REF": "someone/models/.github/workflows/package.yml@refs/heads/main",
    "GITHUB_RUN_ID": "42",
    "GITHUB_RUN_ATTEMPT": "2",
}


def statement(archive: Path, **environment: str) -> dict[str, Any]:
    return json.loads(attest(archive, environment).read_text())


def test_it_is_about_just_this_file(archive: Path) -> None:
    [subject] = statement(archive)["subject"]
    assert subject == {"name": archive.name, "digest": {"sha256": hashlib.sha256(archive.read_bytes()).hexdigest()}}


def test_it_names_what_the_archive_was_made_from(archive: Path) -> None:
    definition = statement(archive)["predicate"]["buildDefinition"]
    record = read_record(archive)
    assert definition["externalParameters"] == {"name": "tiny", "version": "1.0", "source": None}
    weights = {"name": "model/model.safetensors", "digest": {"sha256": record.files["model/model.safetensors"].sha256}}
    assert weights in definition["resolvedDependencies"]
    assert "model-config.yaml" in {each["name"] for each in definition["resolvedDependencies"]}


def test_nothing_is_attested_of_an_archive_that_is_not_what_its_record_says(archive: Path) -> None:
    content = bytearray(archive.read_bytes())
    content[content.index(b"class TextGenerationHandler")] ^= 1
    archive.write_bytes(content)
    with pytest.raises(VerificationError, match="has changed"):
        attest(archive, {})
    assert not archive.with_name(f"{archive.name}.provenance.json").exists()


def test_it_has_the_form_that_in_toto_s_own_library_reads(archive: Path) -> None:
    content = statement(archive, **GITHUB)
    ParseDict(content, Statement())
    ParseDict(content["predicate"], Provenance())


def test_on_a_laptop_nothing_is_claimed_of_a_run(archive: Path) -> None:
    details = statement(archive)["predicate"]["runDetails"]
    assert details["builder"]["id"] == "urn:torchbridge:builder:local"
    assert details["metadata"]["invocationId"] is None


def test_a_run_of_github_actions_is_named_with_its_commit(archive: Path) -> None:
    predicate = statement(archive, **GITHUB)["predicate"]
    assert predicate["runDetails"]["metadata"]["invocationId"].endswith("/someone/models/actions/runs/42/attempts/2")
    assert predicate["runDetails"]["builder"]["id"].endswith("package.yml@refs/heads/main")
    assert predicate["buildDefinition"]["resolvedDependencies"][-1] == {
        "uri": "git+https://github.com/someone/models",
        "digest": {"gitCommit": GITHUB["GITHUB_SHA"]},
    }


def test_no_secret_of_the_environment_is_in_it(archive: Path) -> None:
    path = attest(archive, GITHUB | {"GITHUB_TOKEN": "ghs_secret", "TORCHBRIDGE_SIGNING_KEY": "PRIVATE KEY"})
    assert "ghs_secret" not in path.read_text()
    assert "PRIVATE" not in path.read_text()


def test_with_a_key_it_is_an_envelope_that_the_public_key_opens(archive: Path, tmp_path: Path) -> None:
    private, public = create_key_pair(tmp_path / "release")
    envelope = json.loads(attest(archive, {}, load_private_key(private)).read_text())
    payload = b64decode(envelope["payload"])
    signature = b64decode(envelope["signatures"][0]["sig"])
    assert envelope["payloadType"] == IN_TOTO
    assert json.loads(payload)["subject"][0]["name"] == archive.name
    load_public_key(public).verify(signature, authenticated(payload), ec.ECDSA(SHA256()))
    with pytest.raises(InvalidSignature):
        load_public_key(public).verify(signature, authenticated(payload + b" "), ec.ECDSA(SHA256()))
