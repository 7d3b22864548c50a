"""TorchServe dies under `torchbridge serve`, which starts it again with what was verified, or not at all."""

import re
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import pytest
import requests

from adapter.archives.archive_reader import read_record
from tests.end_to_end.serve_command import LIGHT_TORCHBRIDGE, read_until, serving, url_in
from tests.end_to_end.versions.light_archives import LightArchives
from tests.free_ports import write_torchserve_config
from tests.processes import processes_of
from tests.waiting import wait_until

pytestmark = pytest.mark.torchserve

Answers = list[dict[str, Any]]


@dataclass(frozen=True)
class Restarts:
    """What was seen of a server whose TorchServe died twice.

    before, afterwards: answers of the default, which is 2.0, and of 1.0. Before the first death another server of
    another 2.0 was refused; before the second one that archive came into the store.
    """

    archive: Path
    before: Answers
    refusal: tuple[int, str]
    afterwards: Answers
    end: tuple[int, str]
    left: list[psutil.Process]


@pytest.fixture(scope="module")
def restarts(tmp_path_factory: pytest.TempPathFactory) -> Restarts:
    directory = tmp_path_factory.mktemp("restarts")
    archives = LightArchives(directory / "archives")
    first, second = (archives.make(version) for version in ("1.0", "2.0"))
    others = LightArchives(directory / "others")
    other = others.make("2.0", answer=None)
    assert read_record(second).digest != read_record(other).digest
    models = directory / "models.yaml"
    models.write_text(
        "models:\n  light:\n    default: '2.0'\n    versions:\n"
        f"      '1.0': {{archive: {first}}}\n      '2.0': {{archive: {second}}}\n"
    )
    run_directory = directory / "run"
    with serving(directory, LIGHT_TORCHBRIDGE) as serve:
        process = serve("--models", str(models), "--key", str(archives.public_key))
        url = url_in(read_until(process, "curl"))
        before = answers_of(url)
        other_ports = write_torchserve_config(directory / "other.properties")
        refused = serve(
            *("--model", str(other), "--key", str(others.public_key), "--torchserve-config", str(other_ports))
        )
        refusal = refused.wait(), refused.communicate()[1]
        kill_java(run_directory)
        read_until(process, "TorchServe serves again", is_error=True)
        afterwards = answers_of(url)
        shutil.copyfile(other, run_directory / "model_store" / second.name)
        kill_java(run_directory)
        end = process.wait(), process.communicate()[1]
        return Restarts(second, before, refusal, afterwards, end, processes_of(run_directory))


def answers_of(url: str) -> Answers:
    return [
        requests.post(f"{url}/generate", json={"prompt": "Once", "max_length": 3, **which}, timeout=60).json()
        for which in ({}, {"model_version": "1.0"})
    ]


def kill_java(run_directory: Path) -> None:
    java = next(process for process in processes_of(run_directory) if process.name() == "java")
    java.kill()
    wait_until(lambda: not java.is_running())


def test_serves_archives_as_they_were_packed(restarts: Restarts) -> None:
    assert [answer["model_version"] for answer in restarts.before] == ["2.0", "1.0"]
    assert restarts.before[0]["model_digest"] == read_record(restarts.archive).digest


def test_a_torchserve_that_dies_is_started_again_with_the_versions_and_the_default_that_it_had(
    restarts: Restarts,
) -> None:
    assert [answer["model_version"] for answer in restarts.afterwards] == ["2.0", "1.0"]


def test_a_server_that_is_refused_changes_nothing_of_what_the_running_one_starts_again_with(
    restarts: Restarts,
) -> None:
    status, errors = restarts.refusal
    assert (status, "Another TorchServe runs in" in errors) == (1, True)
    assert restarts.afterwards[0]["model_digest"] == read_record(restarts.archive).digest


def test_torchserve_is_not_started_again_with_another_file_than_was_verified(restarts: Restarts) -> None:
    status, errors = restarts.end
    assert status == 1
    assert re.search(r"torchbridge: .*light-2\.0\.mar is not the file that was verified", errors)
    assert restarts.left == []
