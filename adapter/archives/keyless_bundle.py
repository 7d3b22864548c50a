"""Keyless signatures as files: sigstore's bundle of a signature, its certificate and its entry in a log.

https://docs.sigstore.dev/about/bundle says what is in it. Here only its file's digest is read, which needs no package.
"""

import json
from base64 import b64decode


def keyless_digest(bundle: bytes) -> str:
    """The SHA-256 of the file that it claims to sign. Raises ValueError or RecursionError if it is no bundle."""
    match json.loads(bundle):
        case {
            "mediaType": "application/vnd.dev.sigstore.bundle.v0.3+json",
            "verificationMaterial": {"certificate": {"rawBytes": str()}},
            "messageSignature": {"messageDigest": {"algorithm": "SHA2_256", "digest": str(digest)}},
        }:
            return b64decode(digest, validate=True).hex()
    raise ValueError("it lacks a member or has another")


def is_keyless_signature_of(bundle: bytes, digest: str) -> bool:
    """Whether the bundle claims to sign the file with the SHA-256 `digest`. `check_keyless` checks the claim."""
    try:
        return keyless_digest(bundle) == digest
    except (ValueError, RecursionError):
        return False
