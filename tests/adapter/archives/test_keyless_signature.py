"""Bundles of a sigstore of our own, verified by sigstore's library: the true ones, and all that was changed in one."""

import hashlib
import json
import socket
from base64 import b64decode, b64encode
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NoReturn

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from adapter.archives.signature import SignatureError
from adapter.archives.signing_keys import SigningKeyError
from adapter.archives.trusted_signer import load_trusted_signer
from tests.sigstore_instance import ISSUER, SUBJECT, SigstoreInstance, write_identities

Bundle = dict[str, Any]

NO_BUNDLE = "is no sigstore bundle of version 0.3 of this file"
NOT_HOLDING = "its sigstore bundle does not hold: "
CERTIFICATE = "its certificate is not of the trusted root, or was not valid when it signed"


@pytest.fixture(scope="module")
def instance() -> SigstoreInstance:
    return SigstoreInstance()


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "signed"
    path.write_bytes(b"weights" * 1_000)
    return path


@pytest.fixture
def identities(instance: SigstoreInstance, tmp_path: Path) -> Path:
    return write_identities(tmp_path, instance)


def check(file: Path, bundle: Bundle, identities: Path) -> None:
    sha256 = hashlib.sha256(file.read_bytes()).hexdigest()
    load_trusted_signer(identities).check(json.dumps(bundle).encode(), sha256)


def test_accepts_what_the_identity_has_signed_without_a_network(
    instance: SigstoreInstance, file: Path, identities: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> NoReturn:
        raise AssertionError("it asks a network")

    for name in ("connect", "connect_ex", "sendto"):
        monkeypatch.setattr(socket.socket, name, refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    check(file, instance.sign(file), identities)


def test_refuses_it_for_another_content(instance: SigstoreInstance, file: Path, identities: Path) -> None:
    bundle = instance.sign(file)
    file.write_bytes(b"Weights" * 1_000)
    with pytest.raises(SignatureError, match=NO_BUNDLE):
        check(file, bundle, identities)


def test_refuses_it_for_another_content_that_it_names(instance: SigstoreInstance, file: Path, identities: Path) -> None:
    bundle = instance.sign(file)
    file.write_bytes(b"Weights" * 1_000)
    digest = hashlib.sha256(file.read_bytes()).digest()
    bundle["messageSignature"]["messageDigest"]["digest"] = b64encode(digest).decode()
    with pytest.raises(SignatureError, match=f"{NOT_HOLDING}Signature is invalid for input"):
        check(file, bundle, identities)


BRANCH = SUBJECT.replace("tags/v1.0.0", "heads/main")


@pytest.mark.parametrize(
    ("issuer", "subject"),
    [
        pytest.param(ISSUER, BRANCH, id="another branch"),
        pytest.param(ISSUER, SUBJECT + "1", id="a longer one"),
        pytest.param(ISSUER, SUBJECT.replace("owner", "OWNER"), id="another case"),
        pytest.param("https://accounts.example.com", SUBJECT, id="another issuer"),
        pytest.param(f"{ISSUER}/", SUBJECT, id="a slash more"),
        pytest.param("https://accounts.example.com", "somebody@example.com", id="somebody"),
    ],
)
def test_refuses_another_identity_and_says_whose_it_is(
    instance: SigstoreInstance, file: Path, identities: Path, issuer: str, subject: str
) -> None:
    bundle = instance.sign(file, issuer=issuer, subject=subject)
    with pytest.raises(SignatureError) as refusal:
        check(file, bundle, identities)
    assert str(refusal.value) == f"it is signed by {subject} of {issuer}, whom nobody asks for"


def test_one_of_several_identities_is_enough_but_not_one_half_of_each(
    instance: SigstoreInstance, file: Path, tmp_path: Path
) -> None:
    mail = ("https://accounts.example.com", "somebody@example.com")
    identities = write_identities(tmp_path, instance, (ISSUER, SUBJECT), mail)
    for issuer, subject in ((ISSUER, SUBJECT), mail):
        check(file, instance.sign(file, issuer=issuer, subject=subject), identities)
    for issuer, subject in ((ISSUER, mail[1]), (mail[0], SUBJECT)):
        with pytest.raises(SignatureError, match="whom nobody asks for"):
            check(file, instance.sign(file, issuer=issuer, subject=subject), identities)


def test_a_star_stands_for_all_below_a_slash(instance: SigstoreInstance, file: Path, tmp_path: Path) -> None:
    identities = write_identities(tmp_path, instance, (ISSUER, SUBJECT.replace("v1.0.0", "*")))
    check(file, instance.sign(file), identities)
    check(file, instance.sign(file, subject=f"{SUBJECT}-rc.1"), identities)
    for subject in (BRANCH, SUBJECT.replace("tags/v1.0.0", "tags"), SUBJECT.replace("models", "models-2")):
        with pytest.raises(SignatureError, match="whom nobody asks for"):
            check(file, instance.sign(file, subject=subject), identities)


@pytest.mark.parametrize(
    ("part", "reason"),
    [
        ("authority_key", CERTIFICATE),
        ("certificate_log", f"{NOT_HOLDING}failed to verify SCT"),
        ("signature_log", f"{NOT_HOLDING}invalid log entry"),
    ],
)
def test_refuses_a_certificate_or_a_log_that_the_root_does_not_know(
    instance: SigstoreInstance, file: Path, identities: Path, part: str, reason: str
) -> None:
    other = replace(instance, **{part: ec.generate_private_key(ec.SECP256R1())})
    with pytest.raises(SignatureError, match=reason):
        check(file, other.sign(file), identities)


def test_refuses_everything_of_another_instance(file: Path, identities: Path) -> None:
    with pytest.raises(SignatureError, match=CERTIFICATE):
        check(file, SigstoreInstance().sign(file), identities)


@pytest.mark.parametrize("minute", [-1, 11, 60 * 24 * 365])
def test_refuses_a_certificate_that_was_not_valid_when_it_was_logged(
    instance: SigstoreInstance, file: Path, identities: Path, minute: int
) -> None:
    logged_at = datetime(2025, 6, 1, 12, 0, tzinfo=UTC).timestamp() + minute * 60
    bundle = instance.sign(file, logged_at=datetime.fromtimestamp(logged_at, UTC))
    with pytest.raises(SignatureError, match=CERTIFICATE):
        check(file, bundle, identities)


def entry(bundle: Bundle) -> Bundle:
    found: Bundle = bundle["verificationMaterial"]["tlogEntries"][0]
    return found


def proof(bundle: Bundle) -> Bundle:
    found: Bundle = entry(bundle)["inclusionProof"]
    return found


def flipped(content: str) -> str:
    changed = bytearray(b64decode(content))
    changed[-1] ^= 1
    return b64encode(changed).decode()


def flip(of: Callable[[Bundle], Bundle], member: str) -> Callable[[Bundle], object]:
    return lambda bundle: of(bundle).update({member: flipped(of(bundle)[member])})


def put(of: Callable[[Bundle], Bundle], **members: object) -> Callable[[Bundle], object]:
    return lambda bundle: of(bundle).update(members)


def drop(of: Callable[[Bundle], Bundle], member: str) -> Callable[[Bundle], object]:
    return lambda bundle: of(bundle).pop(member)


def whole(bundle: Bundle) -> Bundle:
    return bundle


def material(bundle: Bundle) -> Bundle:
    found: Bundle = bundle["verificationMaterial"]
    return found


def message(bundle: Bundle) -> Bundle:
    found: Bundle = bundle["messageSignature"]
    return found


TIMESTAMP = {"rfc3161Timestamps": [{"signedTimestamp": "MAA="}]}
ENVELOPE = {"payload": "e30=", "payloadType": "text/plain", "signatures": [{"sig": "AA==", "keyid": ""}]}

EDITS = [
    pytest.param(flip(message, "signature"), id="another signature"),
    pytest.param(put(message, signature=""), id="no signature"),
    pytest.param(put(message, signature="MAYCAQACAQA="), id="a signature of zeros"),
    pytest.param(put(message, messageDigest={"algorithm": "SHA2_512", "digest": "AA=="}), id="another algorithm"),
    pytest.param(drop(message, "messageDigest"), id="no digest"),
    pytest.param(put(whole, mediaType="application/vnd.dev.sigstore.bundle+json;version=0.2"), id="an older version"),
    pytest.param(put(whole, mediaType="application/json"), id="another media type"),
    pytest.param(put(whole, dsseEnvelope=ENVELOPE), id="an envelope, too"),
    pytest.param(put(whole, more=1), id="a member that there is not"),
    pytest.param(flip(lambda b: material(b)["certificate"], "rawBytes"), id="a changed certificate"),
    pytest.param(lambda b: material(b)["certificate"].update(rawBytes="AA=="), id="no certificate in it"),
    pytest.param(drop(material, "certificate"), id="no certificate"),
    pytest.param(put(material, certificate=None, publicKey={"hint": "0"}), id="a key in its place"),
    pytest.param(put(material, publicKey={"hint": "0"}), id="a key beside it"),
    pytest.param(put(material, tlogEntries=[]), id="in no log"),
    pytest.param(lambda b: material(b)["tlogEntries"].append(entry(b)), id="in two logs"),
    pytest.param(put(material, timestampVerificationData=TIMESTAMP), id="a timestamp that is none"),
    pytest.param(drop(entry, "inclusionPromise"), id="no promise, and so no time"),
    pytest.param(drop(entry, "integratedTime"), id="no time"),
    pytest.param(put(entry, integratedTime="1748779261"), id="a second later"),
    pytest.param(flip(lambda b: entry(b)["inclusionPromise"], "signedEntryTimestamp"), id="another promise"),
    pytest.param(put(entry, logIndex="2"), id="another place in the log"),
    pytest.param(put(entry, logId={"keyId": "AA=="}), id="another log"),
    pytest.param(put(entry, kindVersion={"kind": "dsse", "version": "0.0.1"}), id="another kind of entry"),
    pytest.param(put(entry, kindVersion={"kind": "hashedrekord", "version": "9"}), id="an unknown version of entries"),
    pytest.param(flip(entry, "canonicalizedBody"), id="another entry"),
    pytest.param(put(entry, canonicalizedBody="e30="), id="an empty entry"),
    pytest.param(drop(entry, "inclusionProof"), id="no proof"),
    pytest.param(put(proof, hashes=[]), id="a proof of nothing"),
    pytest.param(lambda b: proof(b)["hashes"].append("AA=="), id="a hash more"),
    pytest.param(lambda b: proof(b).update(hashes=[flipped(proof(b)["hashes"][0])]), id="another hash"),
    pytest.param(flip(proof, "rootHash"), id="another root hash"),
    pytest.param(put(proof, treeSize="1", logIndex="0"), id="a smaller log"),
    pytest.param(put(proof, treeSize="0"), id="an empty log"),
    pytest.param(drop(proof, "checkpoint"), id="no checkpoint"),
    pytest.param(put(proof, checkpoint={"envelope": "x\n2\nAA==\n\n"}), id="a checkpoint that nobody has signed"),
    pytest.param(
        lambda b: proof(b)["checkpoint"].update(envelope=proof(b)["checkpoint"]["envelope"].replace("\n2\n", "\n3\n")),
        id="a changed checkpoint",
    ),
]


@pytest.mark.parametrize("edit", EDITS)
def test_refuses_an_edited_bundle(
    instance: SigstoreInstance, file: Path, identities: Path, edit: Callable[[Bundle], object]
) -> None:
    bundle = instance.sign(file)
    edit(bundle)
    with pytest.raises(SignatureError):
        check(file, bundle, identities)


@pytest.mark.parametrize("part", ["certificate", "tlogEntries"])
def test_refuses_a_part_of_another_bundle_of_the_same_signer_and_file(
    instance: SigstoreInstance, file: Path, identities: Path, part: str
) -> None:
    """As in CVE-2022-36056: an entry of the log that is good, but of something else."""
    bundle = instance.sign(file)
    material(bundle)[part] = material(instance.sign(file))[part]
    with pytest.raises(SignatureError, match=NOT_HOLDING):
        check(file, bundle, identities)


@pytest.mark.parametrize("bundle", [b"", b"{}", b"null", b"\xff", b"[" * 100_000], ids=lambda bundle: ascii(bundle[:9]))
def test_refuses_what_is_no_bundle(identities: Path, bundle: bytes) -> None:
    with pytest.raises(SignatureError, match=NO_BUNDLE):
        load_trusted_signer(identities).check(bundle, "0" * 64)


def test_what_a_certificate_says_does_not_reach_a_terminal_as_it_is(
    instance: SigstoreInstance, file: Path, identities: Path
) -> None:
    bundle = instance.sign(file, issuer="https://\N{ESCAPE}[2J\n" + "x" * 60)
    with pytest.raises(SignatureError) as refusal:
        check(file, bundle, identities)
    assert str(refusal.value).isprintable()


def edit_root(edit: Callable[[dict[str, Any]], object], directory: Path) -> None:
    path = directory / "trusted_root.json"
    root = json.loads(path.read_bytes())
    edit(root)
    path.write_text(json.dumps(root))


@pytest.mark.parametrize(
    "edit",
    [
        pytest.param(lambda root: root.clear(), id="nothing"),
        pytest.param(lambda root: root.update(tlogs=[]), id="no log"),
        pytest.param(lambda root: root.update(certificateAuthorities=[]), id="no authority"),
        pytest.param(lambda root: root.update(mediaType="application/json"), id="another media type"),
        pytest.param(
            lambda root: root["certificateAuthorities"][0]["certChain"]["certificates"][0].update(rawBytes="AA=="),
            id="no certificate",
        ),
    ],
)
def test_a_root_that_is_none_is_said(
    instance: SigstoreInstance,
    file: Path,
    identities: Path,
    tmp_path: Path,
    edit: Callable[[dict[str, Any]], object],
) -> None:
    edit_root(edit, tmp_path)
    with pytest.raises(SigningKeyError, match="The trusted root cannot be used: "):
        check(file, instance.sign(file), identities)


@pytest.mark.parametrize("logs", ["tlogs", "ctlogs"])
def test_a_root_without_the_key_of_a_log_trusts_nothing_of_it(
    instance: SigstoreInstance, file: Path, identities: Path, tmp_path: Path, logs: str
) -> None:
    edit_root(lambda root: root[logs][0]["publicKey"].update(rawBytes="AA=="), tmp_path)
    with pytest.raises(SignatureError, match=NOT_HOLDING):
        check(file, instance.sign(file), identities)
