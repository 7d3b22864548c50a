"""All that may be changed in a bundle of a sigstore of our own, and what is none: sigstore's library refuses it."""

from base64 import b64decode, b64encode
from collections.abc import Callable
from pathlib import Path

import pytest

from adapter.archives.signature import SignatureError
from adapter.archives.trusted_signer import load_trusted_signer
from tests.adapter.archives.keyless.bundles import (
    NO_BUNDLE,
    NOT_HOLDING,
    Bundle,
    check,
    entry,
    material,
    message,
    proof,
)
from tests.sigstore_instance import SigstoreInstance


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
