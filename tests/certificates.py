"""Certificates of an authority with a root and an intermediate, as real ones are, and one that is its own authority."""

import ipaddress
import ssl
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import NamedTuple

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    KeySerializationEncryption,
    NoEncryption,
    PrivateFormat,
)
from cryptography.x509.oid import NameOID


class Pair(NamedTuple):
    certificate: Path
    key: Path


class _Issuer(NamedTuple):
    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey


def write_self_signed(directory: Path) -> Pair:
    """For localhost and 127.0.0.1."""
    addresses: list[x509.GeneralName] = [x509.DNSName("localhost"), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
    own = _certify("torchbridge tests", None, addresses)
    directory.mkdir(parents=True, exist_ok=True)
    return _write(Pair(directory / "certificate.pem", directory / "key.pem"), _pem(own.certificate), own)


class Authority:
    def __init__(self, directory: Path) -> None:
        self._root = _certify("root", None)
        self._intermediate = _certify("intermediate", self._root)
        self.root = directory / "root.pem"
        self.root.write_bytes(_pem(self._root.certificate))

    def issue(self, directory: Path, encryption: KeySerializationEncryption | None = None) -> Pair:
        """For localhost: a new certificate with the intermediate one after it, and its key."""
        leaf = _certify("localhost", self._intermediate, [x509.DNSName("localhost")])
        directory.mkdir(parents=True, exist_ok=True)
        chain = _pem(leaf.certificate) + _pem(self._intermediate.certificate)
        return _write(Pair(directory / "tls.crt", directory / "tls.key"), chain, leaf, encryption)

    def trusting(self) -> ssl.SSLContext:
        """What a client has that trusts the root alone."""
        return ssl.create_default_context(cafile=self.root)


def serial_number(pair: Pair) -> int:
    return x509.load_pem_x509_certificate(pair.certificate.read_bytes()).serial_number


def _pem(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(Encoding.PEM)


def _write(pair: Pair, chain: bytes, leaf: _Issuer, encryption: KeySerializationEncryption | None = None) -> Pair:
    pair.certificate.write_bytes(chain)
    pair.key.touch(0o600)
    pair.key.write_bytes(leaf.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, encryption or NoEncryption()))
    return pair


def _certify(name: str, issuer: _Issuer | None, served_at: Sequence[x509.GeneralName] = ()) -> _Issuer:
    """served_at: names and addresses; one that is served nowhere is an authority's, and one without an issuer both."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    is_authority = issuer is None or not served_at
    signer = issuer.key if issuer else key
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer.certificate.subject if issuer else subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.BasicConstraints(ca=is_authority, path_length=None), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.public_key()), critical=False)
        .add_extension(key_usage(is_authority=is_authority), critical=True)
    )
    if served_at:
        certificate = certificate.add_extension(x509.SubjectAlternativeName(served_at), critical=False)
    return _Issuer(certificate.sign(signer, SHA256()), key)


def key_usage(*, is_authority: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=True,
        key_cert_sign=is_authority,
        crl_sign=is_authority,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )
