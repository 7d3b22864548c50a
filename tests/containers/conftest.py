"""The image, built here from this checkout: `make test-containers`, where podman and buildah are."""

import os
import subprocess
from pathlib import Path

import pytest

from tests.containers.podman import Podman, is_there
from tests.debian_packages import installed_program
from tests.project import PROJECT

IMAGE = "localhost/torchbridge:test"
# Where no registry of images can be reached, Debian's own packages make one to begin with, without what images that are
# called slim have not. What merges /usr later would bring all of Perl along, so it is merged from the beginning.
_BASE = "localhost/torchbridge-base:bookworm-slim"
_OPTIONS = [
    "--variant=minbase",
    *(f"--dpkgopt=path-exclude=/usr/share/{name}/*" for name in ("doc", "locale", "man")),
    "--hook-dir=/usr/share/mmdebstrap/hooks/merged-usr",
    "--include=usr-is-merged,python3,python3-venv,ca-certificates",
]


@pytest.fixture(scope="session")
def podman(tmp_path_factory: pytest.TempPathFactory) -> Podman:
    # To build the image takes minutes, and to compile steps in it, too.
    if "TORCHBRIDGE_TEST_CONTAINERS" not in os.environ:
        pytest.skip("`make test-containers` runs it")
    if not is_there():
        pytest.skip("podman, buildah, runc and iptables are not here, or not for this user")
    return Podman(tmp_path_factory.mktemp("podman"))


@pytest.fixture(scope="session")
def image(podman: Podman, tmp_path_factory: pytest.TempPathFactory) -> str:
    """Its name. TORCHBRIDGE_TEST_IMAGE names one that is there already."""
    if given := os.environ.get("TORCHBRIDGE_TEST_IMAGE"):
        return given
    base = _base_image(podman, tmp_path_factory.mktemp("base"))
    surroundings = os.environ | {"IMAGE": IMAGE, "BASE": base, "IMAGE_OPTIONS": "--isolation chroot --layers"}
    subprocess.run(["make", "image"], cwd=PROJECT, env=surroundings, check=True, timeout=1_800)
    return IMAGE


def _base_image(podman: Podman, directory: Path) -> str:
    if _BASE in podman.run("images", "--format", "{{.Repository}}:{{.Tag}}").split():
        return _BASE
    program = installed_program("mmdebstrap", "mmdebstrap")
    assert program is not None
    subprocess.run([program, *_OPTIONS, "bookworm", str(directory / "base.tar")], check=True, timeout=900)
    podman.run("import", str(directory / "base.tar"), _BASE)
    return _BASE
