"""A pod of the chart as options of `podman run`: what Kubernetes would mount, set and allow, podman does."""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.deploy.helm import Manifest
from tests.deploy.objects import container_of, environment_of, only, pod_of

# Podman has its own, as tests/containers/podman.py starts it.
_OF_PODMAN = "temporary"


@dataclass(frozen=True)
class Cluster:
    """What is there beside the chart. Volumes are made in `directory` as the kubelet makes them."""

    directory: Path
    secrets: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    claims: Mapping[str, Path] = field(default_factory=dict)

    def options(self, objects: list[Manifest]) -> tuple[str, ...]:
        pod, container = pod_of(objects), container_of(objects)
        security, memory = pod["securityContext"], container["resources"]["limits"]["memory"]
        volumes = {volume["name"]: volume for volume in pod["volumes"]}
        options = ["--user", f"{security['runAsUser']}:{security['runAsGroup']}"]
        options += ["--memory", memory.removesuffix("i").lower()]
        for name, value in environment_of(container).items():
            options += ["--env", f"{name}={value}"]
        for mount in container["volumeMounts"]:
            if mount["name"] != _OF_PODMAN:
                source = self._source(volumes[mount["name"]], objects, security["fsGroup"])
                options += ["--volume", f"{source}:{mount['mountPath']}:{'ro' if mount.get('readOnly') else 'rw'}"]
        return tuple(options)

    def _source(self, volume: dict[str, Any], objects: list[Manifest], group: int) -> Path:
        if "persistentVolumeClaim" in volume:
            return self.claims[volume["persistentVolumeClaim"]["claimName"]]
        directory = self.directory / volume["name"]
        directory.mkdir()
        os.chown(directory, 0, group)
        directory.chmod(0o2777)
        if "configMap" in volume:
            _write(directory, only(objects, "ConfigMap")["data"], group, 0o644)
        elif "secret" in volume:
            secret = volume["secret"]
            _write(directory, self.secrets[secret["secretName"]], group, secret["defaultMode"])
        else:
            assert "emptyDir" in volume
        return directory


def _write(directory: Path, files: Mapping[str, str], group: int, mode: int) -> None:
    for name, content in files.items():
        file = directory / name
        file.write_text(content)
        os.chown(file, 0, group)
        file.chmod(mode)
