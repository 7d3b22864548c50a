"""What tests ask of rendered objects."""

from typing import Any

from tests.deploy.helm import Manifest


def only(objects: list[Manifest], kind: str) -> Manifest:
    [found] = [each for each in objects if each["kind"] == kind]
    return found


def pod_of(objects: list[Manifest]) -> dict[str, Any]:
    """The specification of the Deployment's pods, or of the Rollout's."""
    pod: dict[str, Any] = workload_of(objects)["spec"]["template"]["spec"]
    return pod


def workload_of(objects: list[Manifest]) -> Manifest:
    [found] = [each for each in objects if each["kind"] in {"Deployment", "Rollout"}]
    return found


def container_of(objects: list[Manifest]) -> dict[str, Any]:
    [container] = pod_of(objects)["containers"]
    found: dict[str, Any] = container
    return found


def environment_of(container: dict[str, Any]) -> dict[str, str]:
    """Without those whose value a Secret has."""
    return {variable["name"]: variable["value"] for variable in container["env"] if "value" in variable}
