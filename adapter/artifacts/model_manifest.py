"""An archive as the ModelPack specification has a model in a registry: https://github.com/modelpack/model-spec.

Its one layer is the archive itself. Nothing in it depends on the day, so that the same archive has the same digest.
"""

from typing import Any, Literal

from pydantic import Field

from adapter.archives.archive_names import archive_file_name
from adapter.archives.record import ArchiveRecord, ModelFacts, canonical_json
from adapter.artifacts.errors import ArtifactError
from adapter.artifacts.manifest import TITLE, Descriptor, Digest, Manifest, Part
from adapter.names import Name

ARTIFACT_TYPE = "application/vnd.cncf.model.manifest.v1+json"
CONFIG_TYPE = "application/vnd.cncf.model.config.v1+json"
LAYER_TYPE = "application/vnd.cncf.model.weight.v1.raw"
_FILE_PATH = "org.cncf.model.filepath"

_PRECISIONS = {"F64": "fp64", "F32": "fp32", "F16": "fp16", "BF16": "bf16"}  # the specification's names
_SCALES = ((10**12, "t"), (10**9, "b"), (10**6, "m"), (10**3, "k"))


class _ModelDescriptor(Part):
    name: Name
    version: Name


class _ModelLayers(Part):
    type: Literal["layers"]
    diff_ids: tuple[Digest, ...]


class ModelConfig(Part):
    """The part of the specification's configuration that is needed to know what the one layer is."""

    descriptor: _ModelDescriptor
    layers: _ModelLayers = Field(alias="modelfs")

    @property
    def file_name(self) -> str:
        return archive_file_name(self.descriptor.name, self.descriptor.version)


def model_layer(record: ArchiveRecord, digest: str, size: int) -> Descriptor:
    """The archive under the name that its record gives it, whatever its file is called."""
    annotations = {_FILE_PATH: record.file_name, TITLE: record.file_name}
    return Descriptor(media_type=LAYER_TYPE, digest=digest, size=size, annotations=annotations)


def model_config(record: ArchiveRecord, layer: Descriptor) -> bytes:
    descriptor = {"name": record.name, "version": record.version, "sourceURL": record.model.source}
    return canonical_json(
        {
            "descriptor": _without_nothing(descriptor),
            "config": _without_nothing(_technical_facts(record.model)),
            "modelfs": {"type": "layers", "diffIds": [layer.digest]},
        }
    )


def model_manifest(layer: Descriptor, config: Descriptor) -> bytes:
    return Manifest(artifact_type=ARTIFACT_TYPE, config=config, layers=(layer,)).to_bytes()


def read_model_manifest(content: bytes, what: str) -> Manifest:
    """Raises ArtifactError unless it is a manifest as `push` writes it: of one archive, in one layer."""
    manifest = Manifest.read(content, what)
    layer_types = [layer.media_type for layer in manifest.layers]
    if (manifest.artifact_type, manifest.config.media_type, layer_types) != (ARTIFACT_TYPE, CONFIG_TYPE, [LAYER_TYPE]):
        raise _not_ours(what)
    return manifest


def read_model_config(content: bytes, layer: Descriptor, what: str) -> ModelConfig:
    """Raises ArtifactError if it describes another layer."""
    config = ModelConfig.read(content, what)
    if config.layers.diff_ids != (layer.digest,):
        raise _not_ours(what)
    return config


def _not_ours(what: str) -> ArtifactError:
    return ArtifactError(f"{what} is not a model archive that torchbridge pushed.")


def _technical_facts(model: ModelFacts) -> dict[str, Any]:
    precisions = {_PRECISIONS.get(dtype, dtype.lower()) for dtype in model.parameters}
    return {
        "architecture": model.architecture,
        "format": "mar",
        "paramSize": parameter_size(sum(model.parameters.values())),
        "precision": "mixed" if len(precisions) > 1 else next(iter(precisions), None),
        "capabilities": {"inputTypes": ["text"], "outputTypes": ["text"]},
    }


def parameter_size(count: int) -> str | None:
    """The count with at most one digit after the point, as the specification has it; None below a thousand."""
    for scale, letter in _SCALES:
        if count >= scale:
            return f"{count / scale:.1f}".removesuffix(".0") + letter
    return None


def _without_nothing(members: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in members.items() if value is not None}
