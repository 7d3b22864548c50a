"""What of our own environment reaches the processes that run an archive's code."""

import pytest

from adapter.archives.worker_environment import EnvironmentRefused, worker_environment


@pytest.mark.parametrize(
    "name",
    [
        *("PATH", "HOME", "LD_LIBRARY_PATH", "LD_PRELOAD", "CUDA_VISIBLE_DEVICES", "NVIDIA_VISIBLE_DEVICES"),
        *("OMP_NUM_THREADS", "MKL_NUM_THREADS", "KMP_AFFINITY", "GOMP_SPINCOUNT", "TORCHBRIDGE_COMPILED_STEPS"),
    ],
)
def test_what_a_model_runs_by_is_passed_on(name: str) -> None:
    assert worker_environment({name: "1"}) == {name: "1"}


@pytest.mark.parametrize(
    "name",
    [
        *("TORCHBRIDGE_API_KEYS", "TORCHBRIDGE_REDIS_URL", "HF_TOKEN", "AWS_SECRET_ACCESS_KEY", "DATABASE_URL"),
        *("NVIDIA_API_KEY", "HTTPS_PROXY", "KUBECONFIG", "SSH_AUTH_SOCK", "PYTHONPATH", "TS_CONFIG_FILE", "PATHS"),
    ],
)
def test_nothing_else_is(name: str) -> None:
    assert worker_environment({name: "1"}) == {}


def test_an_operator_names_what_else_workers_need() -> None:
    environment = {"TORCHBRIDGE_PASS_ENVIRONMENT": "SITE, MODEL_KEY,,ABSENT", "SITE": "1", "MODEL_KEY": "2", "B": "3"}
    assert worker_environment(environment) == {"SITE": "1", "MODEL_KEY": "2"}


@pytest.mark.parametrize("name", ["TORCHBRIDGE_API_KEYS", "TS_CONFIG_FILE", "PYTHONPATH"])
def test_what_would_give_keys_away_or_change_torchserve_cannot_be_named(name: str) -> None:
    with pytest.raises(EnvironmentRefused, match=f"names {name}, which workers never get"):
        worker_environment({"TORCHBRIDGE_PASS_ENVIRONMENT": f"SITE,{name}"})
