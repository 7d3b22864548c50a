"""TorchServe drops a key or a value that it does not know without a word: packing does not."""

from pathlib import Path

import pytest

from adapter.archives.archive import DEFAULT_MODEL_CONFIG
from adapter.archives.model_config import ModelConfigError, check_model_config
from adapter.handler_section import HandlerSection

DEFAULT = DEFAULT_MODEL_CONFIG.read_text()
WITHOUT_HANDLER = DEFAULT.partition("\nhandler:")[0] + "\n"


@pytest.fixture
def config(tmp_path: Path) -> Path:
    return tmp_path / "model-config.yaml"


def test_takes_our_own() -> None:
    check_model_config(DEFAULT_MODEL_CONFIG)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        pytest.param("minWorkers: [", "is not YAML", id="not YAML"),
        pytest.param("- 1", "file: Input should be", id="no mapping"),
        pytest.param(f"{DEFAULT}  dtype: float32\n", "line [0-9]+: the key 'dtype' is there already", id="a key twice"),
        pytest.param("[" * 30_000, "line 1: it has more than 16 levels", id="lists without end"),
        pytest.param("# \n" * 40_000, "it is larger than 64 KiB", id="too large"),
        pytest.param(f"{DEFAULT}minWorker: 1", "minWorker: Extra", id="an unknown key"),
        pytest.param(
            DEFAULT.replace("minWorkers: 1", "minWorkers: 2"), "minWorkers: Input should be 1", id="two workers"
        ),
        pytest.param(f"{DEFAULT}clientTimeoutInMills: 60000", "clientTimeoutInMills", id="answers dropped"),
        pytest.param(DEFAULT.replace("batchSize: 64", "batchSize: 1025"), "batchSize", id="too many slots"),
        pytest.param(DEFAULT.replace("batchSize: 64", 'batchSize: "64"'), "batchSize", id="a number as a text"),
        pytest.param(DEFAULT.replace("continuousBatching: true", ""), "continuousBatching", id="a key less"),
    ],
)
def test_refuses_what_torchserve_would_silently_drop(config: Path, content: str, reason: str) -> None:
    config.write_text(content)
    with pytest.raises(ModelConfigError, match=rf"model-config\.yaml.* {reason}"):
        check_model_config(config)


@pytest.mark.parametrize(
    ("section", "reason"),
    [
        ("{dtype: float64}", r"handler\.dtype"),
        ("{data_type: float32}", r"handler\.data_type"),
        ("{slots: 8}", r"handler\.slots"),
        ("{context_length: 1}", r"handler\.context_length"),
        ("{threads: yes}", r"handler\.threads"),
        ("[]", "handler"),
    ],
)
def test_refuses_a_handler_section_that_the_worker_would_refuse(config: Path, section: str, reason: str) -> None:
    config.write_text(f"{WITHOUT_HANDLER}handler: {section}\n")
    with pytest.raises(ModelConfigError, match=reason):
        check_model_config(config)


@pytest.mark.parametrize("section", ["handler:\n", "handler: {threads: null, dtype: null}\n", ""])
def test_what_the_handler_section_leaves_out_is_the_handlers_choice(config: Path, section: str) -> None:
    config.write_text(f"{WITHOUT_HANDLER}{section}")
    assert check_model_config(config).handler == HandlerSection()


def test_refuses_a_file_that_is_not_there(config: Path) -> None:
    with pytest.raises(ModelConfigError, match="No such file"):
        check_model_config(config)
