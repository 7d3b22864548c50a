"""A sigstore bundle as JSON, its parts, and whether it holds."""

import hashlib
import json
from pathlib import Path
from typing import Any

from adapter.archives.trusted_signer import load_trusted_signer

Bundle = dict[str, Any]

NO_BUNDLE = "is no sigstore bundle of version 0.3 of this file"
NOT_HOLDING = "its sigstore bundle does not hold: "
CERTIFICATE = "its certificate is not of the trusted root, or was not valid when it signed"


def check(file: Path, bundle: Bundle, identities: Path) -> None:
    sha256 = hashlib.sha256(file.read_bytes()).hexdigest()
    load_trusted_signer(identities).check(json.dumps(bundle).encode(), sha256)


def entry(bundle: Bundle) -> Bundle:
    found: Bundle = bundle["verificationMaterial"]["tlogEntries"][0]
    return found


def proof(bundle: Bundle) -> Bundle:
    found: Bundle = entry(bundle)["inclusionProof"]
    return found


def material(bundle: Bundle) -> Bundle:
    found: Bundle = bundle["verificationMaterial"]
    return found


def message(bundle: Bundle) -> Bundle:
    found: Bundle = bundle["messageSignature"]
    return found
