"""Keyless signatures as files: sigstore's bundle of a signature, its certificate and its entry in a log.

https://docs.sigstore.dev/about/bundle says what is in it. Here only what it is about is read, which needs no package.
"""

import json
from base64 import b64decode


def keyless_digest(bundle: bytes) -> str:
    """The SHA-256 of the file that it says it is of. Raises ValueError or RecursionError where it is no such bundle."""
    match json.loads(bundle):
        case {
            "mediaType": "application/vnd.dev.sigstore.bundle.v0.3+json",
            "verificationMaterial": {"certificate": {"rawBytes": str()}},
            "messageSignature": {"messageDigest": {"algorithm": "SHA2_256", "digest": str(digest)}},
        }:
            return b64decode(digest, validate=True).hex()
    raise ValueError("it lacks a member or has another")


def is_keyless_signature_of(bundle: bytes, digest: str) -> bool:
    """Whether it says so of the file whose SHA-256 is `digest`; whether it may, `check_keyless` finds out."""
    try:
        return keyless_digest(bundle) == digest
    except (ValueError, RecursionError):
        return False
