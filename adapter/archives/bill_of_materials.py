"""The archive's bill of materials: CycloneDX 1.6 (ECMA-424) with the model's card, without a date.

Written by hand: cyclonedx-python-lib 11 has no model cards. Its own validator checks this one in the tests.
"""

import uuid
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

from adapter.archives.record import FileRecord, ModelFacts, Versions, canonical_json


def bill_of_materials(
    name: str, version: str, model: ModelFacts, versions: Versions, files: Mapping[str, FileRecord]
) -> bytes:
    libraries = [_library(library, number) for library, number in sorted(versions.model_dump().items())]
    component = {
        "type": "machine-learning-model",
        "bom-ref": "model",
        "name": name,
        "version": version,
        "modelCard": {"modelParameters": _parameters(model)},
        "properties": [
            {"name": f"torchbridge:parameters:{dtype}", "value": str(count)}
            for dtype, count in sorted(model.parameters.items())
        ],
        "components": [_file(entry, record) for entry, record in sorted(files.items())],
    }
    if model.source:
        component["purl"] = model.source
    bill = {
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "metadata": {"component": component},
        "components": libraries,
        "dependencies": [{"ref": "model", "dependsOn": [library["bom-ref"] for library in libraries]}],
    }
    # A serial number that the content determines: another archive gets another one, the same one the same.
    serial_number = uuid.uuid5(uuid.NAMESPACE_URL, canonical_json(bill).decode())
    return canonical_json(bill | {"serialNumber": serial_number.urn})


def _parameters(model: ModelFacts) -> dict[str, Any]:
    return {"task": "text-generation"} | ({"modelArchitecture": model.architecture} if model.architecture else {})


def _library(name: str, version: str) -> dict[str, Any]:
    library = {"type": "library", "bom-ref": name, "name": name, "version": version}
    # The package called torchbridge on PyPI need not be this project.
    return library if name == "torchbridge" else library | {"purl": f"pkg:pypi/{name}@{quote(version, safe='')}"}


def _file(entry: str, record: FileRecord) -> dict[str, Any]:
    hashes = [{"alg": "SHA-256", "content": record.sha256}]
    return {"type": "file", "bom-ref": f"file:{entry}", "name": entry, "hashes": hashes}
