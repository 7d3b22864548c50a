"""A sigstore of our own, without a network: its certificate authority, its two logs, and the root that trusts them.

What it makes is what Fulcio, the log of certificates and Rekor (version 1) make, as far as sigstore's library looks.
"""

import hashlib
import json
import struct
from base64 import b64encode
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from tests.certificates import key_usage

ISSUER = "https://token.actions.githubusercontent.com"
SUBJECT = "https://github.com/owner/models/.github/workflows/release.yml@refs/tags/v1.0.0"

_ISSUER_EXTENSION = x509.ObjectIdentifier("1.3.6.1.4.1.57264.1.8")
_TIMESTAMPS_EXTENSION = x509.ObjectIdentifier("1.3.6.1.4.1.11129.2.4.2")  # RFC 6962, 3.3
_START = datetime(2025, 1, 1, tzinfo=UTC)
_SIGNED_AT = datetime(2025, 6, 1, 12, 0, tzinfo=UTC)
_OTHER_LEAF = b"another entry of the log"


def _key() -> ec.EllipticCurvePrivateKey:
    return ec.generate_private_key(ec.SECP256R1())


def der(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def text(content: bytes) -> str:
    return b64encode(content).decode()


@dataclass
class SigstoreInstance:
    """Whatever a test wants to be wrong it sets, or says to `sign`."""

    authority_key: ec.EllipticCurvePrivateKey = field(default_factory=_key)
    certificate_log: ec.EllipticCurvePrivateKey = field(default_factory=_key)
    signature_log: ec.EllipticCurvePrivateKey = field(default_factory=_key)

    def __post_init__(self) -> None:
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "fake fulcio")])
        public = self.authority_key.public_key()
        self.authority = (
            x509.CertificateBuilder(name, name, public, x509.random_serial_number(), _START, _START + timedelta(3650))
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(key_usage(is_authority=True), critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)
            .sign(self.authority_key, SHA256())
        )

    def trusted_root(self) -> dict[str, Any]:
        valid = {"start": "2025-01-01T00:00:00Z"}
        authority = {
            "subject": {"organization": "fake", "commonName": "fake fulcio"},
            "uri": "https://fulcio.example",
            "certChain": {"certificates": [{"rawBytes": text(self.authority.public_bytes(Encoding.DER))}]},
            "validFor": valid,
        }
        return {
            "mediaType": "application/vnd.dev.sigstore.trustedroot+json;version=0.1",
            "tlogs": [_log("https://rekor.example", self.signature_log, valid)],
            "certificateAuthorities": [authority],
            "ctlogs": [_log("https://ctfe.example", self.certificate_log, valid)],
        }

    def sign(
        self,
        file: Path,
        *,
        issuer: str = ISSUER,
        subject: str = SUBJECT,
        logged_at: datetime = _SIGNED_AT + timedelta(minutes=1),
    ) -> dict[str, Any]:
        """The bundle. Its certificate is valid for ten minutes, in the midst of 2025."""
        key = _key()
        digest = hashlib.sha256(file.read_bytes()).digest()
        signature = key.sign(digest, ec.ECDSA(Prehashed(SHA256())))
        certificate = self._certificate(key.public_key(), issuer, subject)
        return {
            "mediaType": "application/vnd.dev.sigstore.bundle.v0.3+json",
            "verificationMaterial": {
                "certificate": {"rawBytes": text(certificate.public_bytes(Encoding.DER))},
                "tlogEntries": [self._entry(_logged(digest, signature, certificate), logged_at)],
            },
            "messageSignature": {
                "messageDigest": {"algorithm": "SHA2_256", "digest": text(digest)},
                "signature": text(signature),
            },
        }

    def _certificate(self, key: ec.EllipticCurvePublicKey, issuer: str, subject: str) -> x509.Certificate:
        name = (
            x509.RFC822Name(subject)
            if "@" in subject and "/" not in subject
            else x509.UniformResourceIdentifier(subject)
        )
        bare = (
            x509.CertificateBuilder(
                self.authority.subject,
                x509.Name([]),
                key,
                x509.random_serial_number(),
                _SIGNED_AT,
                _SIGNED_AT + timedelta(minutes=10),
            )
            .add_extension(key_usage(is_authority=False), critical=True)
            .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CODE_SIGNING]), critical=False)
            .add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_public_key(self.authority_key.public_key()), critical=False
            )
            .add_extension(x509.SubjectAlternativeName([name]), critical=True)
            .add_extension(x509.UnrecognizedExtension(_ISSUER_EXTENSION, _utf8_string(issuer)), critical=False)
        )
        logged = bare.sign(self.authority_key, SHA256()).tbs_certificate_bytes
        timestamp = x509.UnrecognizedExtension(_TIMESTAMPS_EXTENSION, self._certificate_timestamps(logged))
        return bare.add_extension(timestamp, critical=False).sign(self.authority_key, SHA256())

    def _certificate_timestamps(self, precertificate: bytes) -> bytes:
        """RFC 6962, 3.2 and 3.3: a list of one, as an OCTET STRING."""
        milliseconds = int(_SIGNED_AT.timestamp() * 1000)
        entry = hashlib.sha256(der(self.authority_key)).digest() + len(precertificate).to_bytes(3) + precertificate
        signed = struct.pack("!BBQH", 0, 0, milliseconds, 1) + entry + struct.pack("!H", 0)
        signature = self.certificate_log.sign(signed, ec.ECDSA(SHA256()))
        log = hashlib.sha256(der(self.certificate_log)).digest()
        timestamp = struct.pack("!B32sQHBBH", 0, log, milliseconds, 0, 4, 3, len(signature)) + signature
        listed = struct.pack("!HH", len(timestamp) + 2, len(timestamp)) + timestamp
        return b"\x04" + bytes([len(listed)]) + listed

    def _entry(self, body: bytes, logged_at: datetime) -> dict[str, Any]:
        """The second of two in the log (RFC 6962, 2.1), with what the log has signed of both."""
        log, key = hashlib.sha256(der(self.signature_log)).digest(), self.signature_log
        leaf, other = (hashlib.sha256(b"\0" + each).digest() for each in (body, _OTHER_LEAF))
        root = hashlib.sha256(b"\1" + other + leaf).digest()
        note = f"rekor.example - 1\n2\n{text(root)}\n"
        note_signature = text(log[:4] + key.sign(note.encode(), ec.ECDSA(SHA256())))
        seconds = int(logged_at.timestamp())
        promised = {"body": text(body), "integratedTime": seconds, "logID": log.hex(), "logIndex": 1}
        promise = json.dumps(promised, sort_keys=True, separators=(",", ":")).encode()
        return {
            "logIndex": "1",
            "logId": {"keyId": text(log)},
            "kindVersion": {"kind": "hashedrekord", "version": "0.0.1"},
            "integratedTime": str(seconds),
            "inclusionPromise": {"signedEntryTimestamp": text(key.sign(promise, ec.ECDSA(SHA256())))},
            "inclusionProof": {
                "logIndex": "1",
                "rootHash": text(root),
                "treeSize": "2",
                "hashes": [text(other)],
                "checkpoint": {"envelope": f"{note}\n\N{EM DASH} rekor.example {note_signature}\n"},
            },
            "canonicalizedBody": text(body),
        }


def _log(url: str, key: ec.EllipticCurvePrivateKey, valid: dict[str, str]) -> dict[str, Any]:
    return {
        "baseUrl": url,
        "hashAlgorithm": "SHA2_256",
        "publicKey": {"rawBytes": text(der(key)), "keyDetails": "PKIX_ECDSA_P256_SHA_256", "validFor": valid},
        "logId": {"keyId": text(hashlib.sha256(der(key)).digest())},
    }


def _logged(digest: bytes, signature: bytes, certificate: x509.Certificate) -> bytes:
    pem = certificate.public_bytes(Encoding.PEM)
    spec = {
        "data": {"hash": {"algorithm": "sha256", "value": digest.hex()}},
        "signature": {"content": text(signature), "publicKey": {"content": text(pem)}},
    }
    return json.dumps({"apiVersion": "0.0.1", "kind": "hashedrekord", "spec": spec}, sort_keys=True).encode()


def _utf8_string(value: str) -> bytes:
    return b"\x0c" + bytes([len(value)]) + value.encode()


def write_identities(directory: Path, instance: SigstoreInstance, *identities: tuple[str, str]) -> Path:
    """A file of identities, as --key takes it, with its trusted root beside it."""
    (directory / "trusted_root.json").write_text(json.dumps(instance.trusted_root()))
    named = [{"issuer": issuer, "subject": subject} for issuer, subject in identities or ((ISSUER, SUBJECT),)]
    path = directory / "identities.yaml"
    path.write_text(json.dumps({"identities": named, "trusted_root": "trusted_root.json"}))
    return path
