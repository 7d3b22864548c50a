"""Dead Simple Signing Envelopes: ECDSA on P-256 over a payload and its type. https://github.com/secure-systems-lab/dsse"""

from base64 import b64encode
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256

IN_TOTO = "application/vnd.in-toto+json"


def envelope(payload: bytes, key: ec.EllipticCurvePrivateKey, key_id: str = "") -> dict[str, Any]:
    # RFC 6979 needs no random number: a bad one would give the key away.
    signature = key.sign(authenticated(payload), ec.ECDSA(SHA256(), deterministic_signing=True))
    return {
        "payload": b64encode(payload).decode(),
        "payloadType": IN_TOTO,
        "signatures": [{"sig": b64encode(signature).decode(), "keyid": key_id}],
    }


def authenticated(payload: bytes) -> bytes:
    """The pre-authentication encoding, which is what is signed."""
    return f"DSSEv1 {len(IN_TOTO)} {IN_TOTO} {len(payload)} ".encode() + payload
