"""What the chart renders, run: the pod's own arguments, environment, volumes, user and memory."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import pytest
import requests

from adapter.archives.archive import build_archive
from tests.containers.podman import Container, Podman
from tests.deploy.helm import Helm, Manifest, Values, unpack_helm
from tests.deploy.objects import container_of, environment_of, pod_of
from tests.deploy.podman_options import Cluster
from tests.end_to_end.load_balancer.callers import ANSWERED, NUM_CALLERS, calling_once_each
from tests.end_to_end.load_balancer.haproxy import haproxy_program, running_haproxy
from tests.free_ports import free_ports
from tests.project import PROJECT
from tests.waiting import PATIENCE, PATIENCE_WITH_WORKERS, wait_until

Start = Callable[[list[Manifest]], AbstractContextManager[Container]]

CALLER, OPERATOR = "c" * 24, "o" * 24
VALUES: Values = {
    "archives": {"volume": {"persistentVolumeClaim": {"claimName": "models"}}},
    "models": {"tiny": {"default": "1.0", "versions": {"1.0": {"archive": "/models/tiny-1.0.mar"}}}},
    "apiKeys": {"secretName": "callers"},
    "operatorKeys": {"secretName": "operators"},
    "shutdown": {"delaySeconds": 1, "graceSeconds": 10},
}
SECRETS = {"callers": {"api-keys": f"web:{CALLER}\n"}, "operators": {"operator-keys": f"prometheus:{OPERATOR}\n"}}


@pytest.fixture(scope="module")
def helm(tmp_path_factory: pytest.TempPathFactory) -> Helm:
    return unpack_helm(tmp_path_factory.mktemp("helm"))


@pytest.fixture(scope="module")
def objects(helm: Helm) -> list[Manifest]:
    return helm.render(VALUES)


@pytest.fixture(scope="module")
def start(podman: Podman, image: str, tmp_path_factory: pytest.TempPathFactory) -> Start:
    """A pod of these objects, which is ready inside of the block."""
    models = tmp_path_factory.mktemp("models")
    build_archive(PROJECT / "models" / "tiny", "tiny", "1.0", models)
    for path in (models, *models.iterdir()):
        path.chmod(0o755)  # everybody may read it

    @contextmanager
    def started(objects: list[Manifest]) -> Iterator[Container]:
        cluster = Cluster(tmp_path_factory.mktemp("cluster"), SECRETS, {"models": models})
        arguments = container_of(objects)["args"]
        with podman.container(image, *arguments, options=cluster.options(objects)) as container:
            container.wait_until_ready()
            # Until it has had its sample answer, a stop is a start that was cut short (143).
            wait_until(lambda: "curl" in container.logs, PATIENCE_WITH_WORKERS)
            yield container

    return started


@pytest.fixture(scope="module")
def serving(start: Start, objects: list[Manifest]) -> Iterator[Container]:
    with start(objects) as container:
        yield container


def status_of(serving: Container, address: str, key: str) -> int:
    headers = {"authorization": f"Bearer {key}"}
    if address == "/metrics":
        return requests.get(f"{serving.url}{address}", headers=headers, timeout=PATIENCE).status_code
    prompt = {"prompt": "Once", "max_length": 3}
    return requests.post(f"{serving.url}{address}", json=prompt, headers=headers, timeout=PATIENCE).status_code


def test_a_caller_with_a_key_of_the_secret_has_an_answer(serving: Container) -> None:
    assert (status_of(serving, "/generate", CALLER), status_of(serving, "/generate", OPERATOR)) == (200, 401)


def test_prometheus_reads_with_the_operator_s_key(serving: Container) -> None:
    assert (status_of(serving, "/metrics", OPERATOR), status_of(serving, "/metrics", CALLER)) == (200, 403)


def test_it_has_the_environment_of_the_pod(serving: Container, objects: list[Manifest]) -> None:
    printed = set(serving.execute("env").splitlines())
    assert {f"{name}={value}" for name, value in environment_of(container_of(objects)).items()} <= printed


def test_it_ends_by_itself_within_the_time_that_the_pod_has(serving: Container, objects: list[Manifest]) -> None:
    serving.stop(pod_of(objects)["terminationGracePeriodSeconds"])
    assert serving.wait_until_ended() == 0


@pytest.mark.skipif(haproxy_program() is None, reason="there is no HAProxy, and only root can install it")
def test_a_rollout_loses_no_request(start: Start, helm: Helm, tmp_path: Path) -> None:
    objects = helm.render({"shutdown": {"delaySeconds": 10, "graceSeconds": 60}})
    with start(objects) as old, start(objects) as new:
        ports = [int(pod.url.rpartition(":")[2]) for pod in (old, new)]
        with (
            running_haproxy(tmp_path, ports, ports=tuple(free_ports(2))) as haproxy,
            calling_once_each(haproxy.url) as callers,
        ):
            callers.wait_for_more(2 * NUM_CALLERS)
            old.stop(pod_of(objects)["terminationGracePeriodSeconds"])
            assert old.wait_until_ended() == 0
            callers.wait_for_more(2 * NUM_CALLERS)
    assert set(callers.outcomes) == {ANSWERED}
