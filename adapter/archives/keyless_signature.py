"""Checks offline whether sigstore's bundle vouches for a file, by sigstore's own library (the extra `sigstore`).

It checks the certificate by the trusted root, at the time that a log or a timestamp authority has signed; its entry in
the log of certificates; that the signature is in the log of signatures; and the signature itself.
"""

import json
from collections.abc import Sequence

from cryptography.hazmat import asn1
from cryptography.x509 import (
    Certificate,
    ObjectIdentifier,
    RFC822Name,
    SubjectAlternativeName,
    UniformResourceIdentifier,
)
from sigstore.errors import CertValidationError
from sigstore.hashes import Hashed
from sigstore.models import Bundle, InvalidBundle, TrustedRoot
from sigstore.verify import Verifier
from sigstore_models.common.v1 import HashAlgorithm
from sigstore_models.trustroot.v1 import TrustedRoot as TrustedRootMessage

from adapter.archives.identity_file import Identity, IdentityFile
from adapter.archives.signature import SignatureError
from adapter.archives.signing_keys import SigningKeyError

# https://github.com/sigstore/fulcio/blob/main/docs/oid-info.md
_ISSUER = ObjectIdentifier("1.3.6.1.4.1.57264.1.8")
_MOST_CHARACTERS = 200


def check_keyless(bundle: bytes, digest: str, trusted: IdentityFile) -> None:
    """Raises SignatureError unless one of the trusted identities has signed the file whose SHA-256 is `digest`.

    Raises SigningKeyError if their trusted root is not one.
    """
    verifier = _verifier(trusted)
    hashed = Hashed(algorithm=HashAlgorithm.SHA2_256, digest=bytes.fromhex(digest))
    try:
        verifier.verify_artifact(hashed, Bundle.from_json(bundle), _OneOf(trusted.identities))
    except SignatureError:
        raise
    except InvalidBundle as error:
        raise SignatureError(f"its sigstore bundle lacks what it needs: {_in_one_line(error)}") from error
    except CertValidationError as error:
        raise SignatureError(
            "its certificate is not of the trusted root, or was not valid when it signed, as far as the bundle proves "
            f"when that was: {_in_one_line(error)}"
        ) from error
    except Exception as error:  # whatever fails in the library: the bundle has not vouched for the file
        raise SignatureError(f"its sigstore bundle does not hold: {_in_one_line(error)}") from error


def _verifier(trusted: IdentityFile) -> Verifier:
    try:
        # The only constructor that takes no path: another root may lie at the path by now.
        root = TrustedRoot(TrustedRootMessage.from_json(json.dumps(trusted.trusted_root)))
        return Verifier(trusted_root=root)
    except Exception as error:  # the parsers of certificates and keys raise many kinds of exceptions
        raise SigningKeyError(f"The trusted root cannot be used: {_in_one_line(error)}.") from error


class _OneOf:
    """A policy of sigstore's. Its own AnyOf would not say whose the certificate is."""

    def __init__(self, identities: Sequence[Identity]) -> None:
        self._identities = identities

    def verify(self, certificate: Certificate) -> None:
        issuer, subject = _issuer(certificate), _subject(certificate)
        if not any(each.is_of(issuer, subject) for each in self._identities):
            raise SignatureError(f"it is signed by {_shown(subject)} of {_shown(issuer)}, whom nobody asks for")


def _issuer(certificate: Certificate) -> str:
    return asn1.decode_der(str, certificate.extensions.get_extension_for_oid(_ISSUER).value.public_bytes())


def _subject(certificate: Certificate) -> str:
    """The subject that Fulcio has written into the certificate."""
    names = certificate.extensions.get_extension_for_class(SubjectAlternativeName).value
    found = [*names.get_values_for_type(UniformResourceIdentifier), *names.get_values_for_type(RFC822Name)]
    if len(found) != len(names) or len(found) != 1:
        raise SignatureError("its certificate is not of one subject, an e-mail address or a URL")
    return found[0]


def _in_one_line(error: Exception) -> str:
    return _shown(" ".join(str(error).split()) or type(error).__name__)


def _shown(text: str) -> str:
    """Text that a stranger may have written, made safe for a terminal."""
    return ascii(text)[1:-1][:_MOST_CHARACTERS]
