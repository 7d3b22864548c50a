"""Bundles of a sigstore of our own, verified by sigstore's library: whose they are, and of what."""

import hashlib
import socket
from base64 import b64encode
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import NoReturn

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from adapter.archives.signature import SignatureError
from tests.adapter.archives.keyless.bundles import (
    CERTIFICATE,
    NO_BUNDLE,
    NOT_HOLDING,
    check,
)
from tests.sigstore_instance import ISSUER, SUBJECT, SigstoreInstance, write_identities


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


def test_what_a_certificate_says_does_not_reach_a_terminal_as_it_is(
    instance: SigstoreInstance, file: Path, identities: Path
) -> None:
    bundle = instance.sign(file, issuer="https://\N{ESCAPE}[2J\n" + "x" * 60)
    with pytest.raises(SignatureError) as refusal:
        check(file, bundle, identities)
    assert str(refusal.value).isprintable()
