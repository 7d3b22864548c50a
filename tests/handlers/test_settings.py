"""The worker's settings, read from the file as it was unpacked."""

from pathlib import Path

import pytest

from adapter.archives.archive import DEFAULT_MODEL_CONFIG
from adapter.strict_yaml import YamlError
from handlers.settings import HandlerSettings


def test_reads_our_own() -> None:
    settings = HandlerSettings.read(DEFAULT_MODEL_CONFIG)
    assert (settings.slots, settings.dtype) == (64, "auto")


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        pytest.param("batchSize: 1\nbatchSize: 2\n", "line 2: the key 'batchSize' is there already", id="a key twice"),
        pytest.param("[" * 30_000, "line 1: it has more than 16 levels", id="lists without end"),
        pytest.param("- batchSize\n", "it is not a mapping", id="a list"),
    ],
)
def test_refuses(tmp_path: Path, content: str, reason: str) -> None:
    config = tmp_path / "model-config.yaml"
    config.write_text(content)
    with pytest.raises(YamlError, match=rf"model-config\.yaml: {reason}"):
        HandlerSettings.read(config)
