"""Signatures in OpenSSF model-signing's format (OMS 1.0): a sigstore bundle beside the one file that it is for.

`model_signing verify key` accepts ours, and we accept those of `model_signing sign key`. That package is not imported:
it brings sigstore and all that sigstore needs along, for three nested JSON objects and one ECDSA signature.
"""

import hashlib
import json
from base64 import b64decode
from pathlib import Path
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256

from adapter.archives.dsse import authenticated, envelope
from adapter.archives.signature_paths import signature_path
from adapter.archives.signing_keys import fingerprint
from adapter.durable.replacement import SHARED, write_durably


class SignatureError(ValueError):
    """The signature does not vouch for the file, and the message says why."""


def sign_file(file: Path, key: ec.EllipticCurvePrivateKey) -> Path:
    """Writes the bundle beside `file`: the same bytes for the same file and key."""
    with file.open("rb") as content:
        digest = hashlib.file_digest(content, "sha256").hexdigest()
    payload = json.dumps(_statement(file.name, digest)).encode()
    bundle = {
        "mediaType": "application/vnd.dev.sigstore.bundle.v0.3+json",
        "verificationMaterial": {"publicKey": {"hint": fingerprint(key.public_key())}, "tlogEntries": []},
        "dsseEnvelope": envelope(payload, key),
    }
    path = signature_path(file)
    write_durably(path, json.dumps(bundle, indent=2).encode() + b"\n", SHARED)
    return path


def check_signature(bundle: bytes, digest: str, key: ec.EllipticCurvePublicKey) -> None:
    """Raises SignatureError unless `bundle` is the signature with `key` of the file whose SHA-256 is `digest`."""
    try:
        hint, payload, signature = _read_bundle(bundle)
    except (ValueError, RecursionError) as error:
        raise SignatureError("the signature is no OpenSSF model-signing bundle made with a key") from error
    if hint != fingerprint(key):
        raise SignatureError("it is signed with another key")
    try:
        key.verify(signature, authenticated(payload), ec.ECDSA(SHA256()))
    except InvalidSignature as error:
        raise SignatureError("the signature has changed since it was made") from error
    if _signed_digest(payload) != digest:
        raise SignatureError("the signature is of another file")


def is_signature_of(bundle: bytes, digest: str) -> bool:
    """Whether the bundle claims to sign the file with the SHA-256 `digest`. `check_signature` checks the claim."""
    try:
        _, payload, _ = _read_bundle(bundle)
        return _signed_digest(payload) == digest
    except (ValueError, RecursionError):
        return False


def _read_bundle(bundle: bytes) -> tuple[str, bytes, bytes]:
    match json.loads(bundle):
        case {
            "mediaType": "application/vnd.dev.sigstore.bundle.v0.3+json",
            "verificationMaterial": {"publicKey": {"hint": str(hint)}},
            "dsseEnvelope": {
                "payload": str(payload),
                "payloadType": "application/vnd.in-toto+json",
                "signatures": [{"sig": str(signature)}],
            },
        }:
            return hint, b64decode(payload, validate=True), b64decode(signature, validate=True)
    raise ValueError("it lacks a member or has another")


def _signed_digest(payload: bytes) -> str | None:
    """The SHA-256 of the one file that the signed statement is about; None if it is about something else."""
    match json.loads(payload):
        case {
            "_type": "https://in-toto.io/Statement/v1",
            "predicateType": "https://model_signing/signature/v1.0",
            "predicate": {
                "serialization": {"method": "files", "hash_type": "sha256"},
                "resources": [{"name": ".", "algorithm": "sha256", "digest": str(digest)}],
            },
        }:
            return digest
    return None


def _statement(name: str, digest: str) -> dict[str, Any]:
    """The statement that model-signing makes of a model of one file: a directory in which the file is "."."""
    return {
        "_type": "https://in-toto.io/Statement/v1",
        "subject": [{"name": name, "digest": {"sha256": hashlib.sha256(bytes.fromhex(digest)).hexdigest()}}],
        "predicateType": "https://model_signing/signature/v1.0",
        "predicate": {
            "serialization": {"method": "files", "hash_type": "sha256", "allow_symlinks": False},
            "resources": [{"name": ".", "algorithm": "sha256", "digest": digest}],
        },
    }
