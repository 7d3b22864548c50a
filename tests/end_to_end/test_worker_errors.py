"""What a worker says of a request that it cannot serve, through the real TorchServe to the caller."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import requests

from adapter.archives.archive import build_archive
from adapter.archives.packed_code import packed_code
from adapter.schema import DoneEvent, ErrorEvent
from tests.end_to_end.endless_model import model_config, write_endless_model
from tests.end_to_end.gateway_calls import TIMEOUT, expect_problem, post, stream
from tests.end_to_end.own_stack import running_gateway
from tests.tokenizer_families import save_random_model
from tests.waiting import wait_until

pytestmark = pytest.mark.torchserve


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("errors")


@pytest.fixture(scope="module")
def url(directory: Path) -> Iterator[str]:
    """A gateway before a model without an end, whose tokenizer has no token for "é" and tokens of any length.

    Its device is lost while there is a file called `broken`.
    """
    save_random_model(directory / "random", "unigram_without_unknown")
    write_endless_model(directory / "random", directory / "model")
    config = directory / "model-config.yaml"
    config.write_text(model_config(slots=4))
    with pytest.MonkeyPatch.context() as patch:
        code = breakable_code(directory)
        patch.setattr("adapter.archives.archive.packed_code", lambda: code)
        archive = build_archive(directory / "model", "breakable", "1.0", directory / "model_store", config)
    with running_gateway([archive], directory / "run", default_model="breakable") as url:
        yield url


def breakable_code(directory: Path) -> dict[str, Path]:
    code = packed_code()
    source = code["handlers/run_ahead.py"].read_text()
    step = "                step = self._threads.step(self._engine)\n"
    assert step in source
    loss = (
        f"                if __import__('os').path.exists({str(directory / 'broken')!r}):\n"
        "                    raise torch.AcceleratorError('CUDA error: device-side assert triggered')\n"
    )
    (directory / "run_ahead.py").write_text(source.replace(step, loss + step))
    return code | {"handlers/run_ahead.py": directory / "run_ahead.py"}


@pytest.mark.parametrize("path", ["/generate", "/generate/stream"])
def test_prompt_that_the_tokenizer_fails_on_is_a_true_status_and_ends_nobody_else(url: str, path: str) -> None:
    with stream(url, prompt="Once upon", max_length=200, temperature=0) as (_, events):
        assert next(events).type == "start"
        bad = requests.post(url + path, json={"prompt": "café"}, timeout=TIMEOUT)
        *_, last = events

    assert isinstance(last, DoneEvent)
    expect_problem(bad, "invalid_request")


def test_prompts_that_take_long_to_count_are_refused_with_their_tokens(url: str) -> None:
    """TorchServe gets answers without any event for each of them, the very first among them."""
    with ThreadPoolExecutor(3) as callers:
        answers = list(callers.map(lambda _: post(url, prompt="a " * 499_999), range(3)))
    problems = [expect_problem(answer, "prompt_too_long") for answer in answers]

    assert all("tokens exceeds the context window" in problem.detail for problem in problems)
    assert post(url, prompt="Once upon", max_length=1).json()["tokens_generated"] == 1


def test_worker_whose_device_is_lost_ends_its_answers_and_another_takes_its_place(url: str, directory: Path) -> None:
    with stream(url, prompt="Once", max_length=32_000) as (_, events):
        assert [next(events).type, next(events).type] == ["start", "delta"]
        (directory / "broken").touch()
        *_, last = events
    (directory / "broken").unlink()

    assert isinstance(last, ErrorEvent)
    assert last.problem.code == "worker_died"
    log = directory / "run" / "logs" / "model_log.log"  # which Java writes, when it comes to it
    wait_until(lambda: "the engine cannot go on: AcceleratorError" in log.read_text())
    assert post(url, prompt="Once", max_length=3).json()["tokens_generated"] == 3
