"""The manifest that TorchServe reads in an archive. The record determines every byte of it."""

import json

from model_archiver.manifest_components.manifest import Manifest, RuntimeType  # type: ignore[import-untyped]
from model_archiver.manifest_components.model import Model  # type: ignore[import-untyped]

from adapter.archives.packed_code import HANDLER

MODEL_CONFIG_ENTRY = "model-config.yaml"


def torchserve_manifest(name: str, version: str) -> bytes:
    model = Model(name, None, HANDLER, model_version=version, config_file=MODEL_CONFIG_ENTRY)
    manifest = Manifest(RuntimeType.PYTHON.value, model).manifest_dict
    return json.dumps(manifest | {"createdOn": "01/01/1980 00:00:00"}, indent=2).encode()
