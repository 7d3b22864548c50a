"""Our signatures and OpenSSF model-signing's are of one kind: each side accepts the other's, and both the same ones."""

import hashlib
import json
import subprocess
import sys
from base64 import b64decode, b64encode
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from adapter.archives.signature import SignatureError, check_signature, sign_file
from adapter.archives.signing_keys import create_key_pair, load_private_key, load_public_key


@pytest.fixture
def signed(tmp_path: Path) -> Path:
    """A file of which `signed.sig` is the signature with `release.key`."""
    create_key_pair(tmp_path / "release")
    file = tmp_path / "signed"
    file.write_bytes(b"weights" * 1_000)
    sign_file(file, load_private_key(tmp_path / "release.key"))
    return file


def check(file: Path, bundle: bytes | None = None, key: str = "release.pub") -> None:
    bundle = file.with_name("signed.sig").read_bytes() if bundle is None else bundle
    check_signature(bundle, hashlib.sha256(file.read_bytes()).hexdigest(), load_public_key(file.with_name(key)))


def model_signing(command: str, file: Path, *options: str) -> subprocess.CompletedProcess[str]:
    arguments = [sys.executable, "-m", "model_signing", command, "key", *options, file.name]
    return subprocess.run(arguments, cwd=file.parent, capture_output=True, text=True, check=False)


def test_model_signing_accepts_ours_and_refuses_it_for_another_content(signed: Path) -> None:
    check(signed)
    options = ("--public_key", "release.pub", "--signature", "signed.sig")
    assert model_signing("verify", signed, *options).stdout == "Verification succeeded\n"

    signed.write_bytes(b"Weights" * 1_000)
    refused = model_signing("verify", signed, *options)
    assert refused.returncode != 0
    assert "Hash mismatch" in refused.stderr + refused.stdout


def test_we_accept_model_signings_and_refuse_it_for_another_content(signed: Path) -> None:
    signed.with_name("signed.sig").unlink()
    model_signing("sign", signed, "--private_key", "release.key", "--signature", "signed.sig")
    check(signed)

    signed.write_bytes(b"Weights" * 1_000)
    with pytest.raises(SignatureError, match="of another file"):
        check(signed)


def test_the_same_file_and_key_make_the_same_signature(signed: Path) -> None:
    first = signed.with_name("signed.sig").read_bytes()
    sign_file(signed, load_private_key(signed.with_name("release.key")))

    assert signed.with_name("signed.sig").read_bytes() == first


def test_refuses_another_key(signed: Path) -> None:
    create_key_pair(signed.with_name("other"))

    with pytest.raises(SignatureError, match="signed with another key"):
        check(signed, key="other.pub")


def test_refuses_another_keys_signature_under_this_keys_name(signed: Path) -> None:
    create_key_pair(signed.with_name("other"))
    bundle = json.loads(signed.with_name("signed.sig").read_bytes())
    forged = json.loads(sign_file(signed, load_private_key(signed.with_name("other.key"))).read_bytes())
    forged["verificationMaterial"] = bundle["verificationMaterial"]

    with pytest.raises(SignatureError, match="has changed since it was made"):
        check(signed, json.dumps(forged).encode())


def test_refuses_the_signature_of_a_directory_or_of_more_than_the_file(signed: Path) -> None:
    signed.with_name("model").mkdir()
    signed.with_name("model").joinpath("signed").write_bytes(signed.read_bytes())
    model_signing("sign", signed.with_name("model"), "--private_key", "release.key", "--signature", "signed.sig")

    with pytest.raises(SignatureError, match="of another file"):
        check(signed)


def set_payload(change: Callable[[bytes], bytes]) -> Callable[[dict[str, Any]], object]:
    def edit(bundle: dict[str, Any]) -> None:
        envelope = bundle["dsseEnvelope"]
        envelope["payload"] = b64encode(change(b64decode(envelope["payload"]))).decode()

    return edit


def set_signature(change: Callable[[bytes], bytes]) -> Callable[[dict[str, Any]], object]:
    def edit(bundle: dict[str, Any]) -> None:
        signature = bundle["dsseEnvelope"]["signatures"][0]
        signature["sig"] = b64encode(change(b64decode(signature["sig"]))).decode()

    return edit


NO_BUNDLE = "no OpenSSF model-signing bundle"
CHANGED = "has changed since it was made"


@pytest.mark.parametrize(
    ("edit", "reason"),
    [
        pytest.param(set_payload(lambda payload: payload + b" "), CHANGED, id="a space more"),
        pytest.param(set_payload(lambda _: b"{}"), CHANGED, id="another statement"),
        pytest.param(set_payload(lambda _: b""), CHANGED, id="no statement"),
        pytest.param(set_signature(lambda _: b""), CHANGED, id="no signature"),
        pytest.param(set_signature(lambda signature: signature[:-1] + b"\0"), CHANGED, id="another signature"),
        pytest.param(set_signature(lambda _: bytes.fromhex("3006020100020100")), CHANGED, id="a signature of zeros"),
        pytest.param(lambda b: b["dsseEnvelope"].update(payloadType="text/plain"), NO_BUNDLE, id="another type"),
        pytest.param(lambda b: b["dsseEnvelope"]["signatures"].clear(), NO_BUNDLE, id="no list of signatures"),
        pytest.param(lambda b: b["dsseEnvelope"]["signatures"].append({}), NO_BUNDLE, id="two signatures"),
        pytest.param(
            lambda b: b["dsseEnvelope"].update(payload=f"\n{b['dsseEnvelope']['payload']}"), NO_BUNDLE, id="a line"
        ),
        pytest.param(lambda b: b.update(mediaType="application/json"), NO_BUNDLE, id="another media type"),
        pytest.param(lambda b: b.update(verificationMaterial={"certificate": {}}), NO_BUNDLE, id="a certificate"),
        pytest.param(lambda b: b["verificationMaterial"]["publicKey"].clear(), NO_BUNDLE, id="a key without a name"),
        pytest.param(
            lambda b: b["verificationMaterial"]["publicKey"].update(hint="0"), "another key", id="a wrong name"
        ),
    ],
)
def test_refuses_an_edited_bundle(signed: Path, edit: Callable[[dict[str, Any]], object], reason: str) -> None:
    bundle = json.loads(signed.with_name("signed.sig").read_bytes())
    edit(bundle)

    with pytest.raises(SignatureError, match=reason):
        check(signed, json.dumps(bundle).encode())


@pytest.mark.parametrize("bundle", [b"", b"{}", b"null", b"\xff", b"[" * 100_000], ids=lambda bundle: ascii(bundle[:9]))
def test_refuses_what_is_no_bundle(signed: Path, bundle: bytes) -> None:
    with pytest.raises(SignatureError, match=NO_BUNDLE):
        check(signed, bundle)
