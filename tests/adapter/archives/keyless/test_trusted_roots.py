"""The file of what sigstore trusts: what is none, and what lacks a key."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from adapter.archives.signature import SignatureError
from adapter.archives.signing_keys import SigningKeyError
from tests.adapter.archives.keyless.bundles import NOT_HOLDING, check
from tests.sigstore_instance import SigstoreInstance


def edit_root(edit: Callable[[dict[str, Any]], object], directory: Path) -> None:
    path = directory / "trusted_root.json"
    root = json.loads(path.read_bytes())
    edit(root)
    path.write_text(json.dumps(root))


@pytest.mark.parametrize(
    "edit",
    [
        pytest.param(lambda root: root.clear(), id="nothing"),
        pytest.param(lambda root: root.update(tlogs=[]), id="no log"),
        pytest.param(lambda root: root.update(certificateAuthorities=[]), id="no authority"),
        pytest.param(lambda root: root.update(mediaType="application/json"), id="another media type"),
        pytest.param(
            lambda root: root["certificateAuthorities"][0]["certChain"]["certificates"][0].update(rawBytes="AA=="),
            id="no certificate",
        ),
    ],
)
def test_a_root_that_is_none_is_said(
    instance: SigstoreInstance,
    file: Path,
    identities: Path,
    tmp_path: Path,
    edit: Callable[[dict[str, Any]], object],
) -> None:
    edit_root(edit, tmp_path)
    with pytest.raises(SigningKeyError, match="The trusted root cannot be used: "):
        check(file, instance.sign(file), identities)


@pytest.mark.parametrize("logs", ["tlogs", "ctlogs"])
def test_a_root_without_the_key_of_a_log_trusts_nothing_of_it(
    instance: SigstoreInstance, file: Path, identities: Path, tmp_path: Path, logs: str
) -> None:
    edit_root(lambda root: root[logs][0]["publicKey"].update(rawBytes="AA=="), tmp_path)
    with pytest.raises(SignatureError, match=NOT_HOLDING):
        check(file, instance.sign(file), identities)
