"""Where and from what an archive was packed: an in-toto statement with SLSA's provenance, https://slsa.dev/spec/v1.0.

It is what the packer says of itself, so it is SLSA Build L1, signed or not: a builder that nobody can influence would
have to say it for more.
"""

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec

from adapter.archives.dsse import envelope
from adapter.archives.record import ArchiveRecord
from adapter.archives.signing_keys import fingerprint
from adapter.archives.torchserve_manifest import MODEL_CONFIG_ENTRY
from adapter.archives.verification import verify_archive
from adapter.durable.replacement import SHARED, write_durably

_BUILD_TYPE = "urn:torchbridge:pack:1"


def provenance_path(archive: Path) -> Path:
    return archive.with_name(f"{archive.name}.provenance.json")


def attest(archive: Path, environment: Mapping[str, str], key: ec.EllipticCurvePrivateKey | None = None) -> Path:
    """Writes the statement beside the archive, in a DSSE envelope where there is a key.

    `environment` says which run of GitHub Actions it is, if any; nothing else of it is read. Raises VerificationError
    if the archive is not what its record says, or if another installation packed it.
    """
    verified = verify_archive(archive)
    statement = provenance(archive.name, verified.sha256, verified.record, environment)
    payload = json.dumps(statement, indent=2).encode()
    signed = json.dumps(envelope(payload, key, fingerprint(key.public_key())), indent=2).encode() if key else payload
    path = provenance_path(archive)
    write_durably(path, signed + b"\n", SHARED)
    return path


def provenance(name: str, digest: str, record: ArchiveRecord, environment: Mapping[str, str]) -> dict[str, Any]:
    return {
        "_type": "https://in-toto.io/Statement/v1",
        "subject": [{"name": name, "digest": {"sha256": digest}}],
        "predicateType": "https://slsa.dev/provenance/v1",
        "predicate": {
            "buildDefinition": {
                "buildType": _BUILD_TYPE,
                "externalParameters": {"name": record.name, "version": record.version, "source": record.model.source},
                "internalParameters": {"recordDigest": record.digest},
                "resolvedDependencies": _materials(record) + _source_code(environment),
            },
            "runDetails": {
                "builder": {"id": _builder(environment), "version": record.versions.model_dump()},
                "metadata": {
                    "invocationId": _run(environment),
                    "finishedOn": f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}",
                },
            },
        },
    }


def _materials(record: ArchiveRecord) -> list[dict[str, Any]]:
    return [
        {"name": name, "digest": {"sha256": file.sha256}}
        for name, file in sorted(record.files.items())
        if name.startswith("model/") or name == MODEL_CONFIG_ENTRY
    ]


def _source_code(environment: Mapping[str, str]) -> list[dict[str, Any]]:
    match environment:
        case {"GITHUB_SERVER_URL": server, "GITHUB_REPOSITORY": repository, "GITHUB_SHA": commit}:
            return [{"uri": f"git+{server}/{repository}", "digest": {"gitCommit": commit}}]
    return []


def _builder(environment: Mapping[str, str]) -> str:
    match environment:
        case {"GITHUB_SERVER_URL": server, "GITHUB_WORKFLOW_REF": workflow}:
            return f"{server}/{workflow}"
    return "urn:torchbridge:builder:local"


def _run(environment: Mapping[str, str]) -> str | None:
    match environment:
        case {"GITHUB_SERVER_URL": server, "GITHUB_REPOSITORY": repository, "GITHUB_RUN_ID": run, **rest}:
            return f"{server}/{repository}/actions/runs/{run}/attempts/{rest.get('GITHUB_RUN_ATTEMPT', '1')}"
    return None
