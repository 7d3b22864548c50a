"""A gateway that is killed at any moment, again and again: each request gets one answer, and none is lost."""

import os
import random
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx

from tests.adapter.batches.batch_calls import begin, line, lines_of, state_of, text_of, wait_for_end
from tests.waiting import wait_until

NUM_LINES, NUM_KILLS = 300, 5 if "TORCHBRIDGE_TEST_EVERY_POINT" in os.environ else 2
NUM_LATE = 20  # the last lines, which no gateway that is killed has answered, however late the kill comes
FAILS = "{contains: fail, fails: generation_failed}"
LATE, OTHERS = "{contains: late, text: 'a b', token_seconds: 3600}", "{text: 'a b', token_seconds: 0.01}"


@contextmanager
def simulated(place: Path, *answers: str) -> Iterator[httpx.Client]:
    """`torchbridge simulate` in a process of its own, which is killed at the end."""
    directory, script = place / "batches", place / "script.yaml"
    script.write_text("answers:\n" + "".join(f"  - {each}\n" for each in answers))
    command = [str(Path(sys.executable).with_name("torchbridge")), "simulate", str(script), "--port", "0"]
    environment = {"TORCHBRIDGE_BATCH_DIRECTORY": str(directory), "PATH": "/usr/bin:/bin"}
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            [url] = re.findall(r"http://[\d.:]+", process.stdout.readline())
            with httpx.Client(base_url=url, timeout=60) as client:
                yield client
        finally:
            process.kill()


def words_of(number: int) -> str:
    if number % 50 == 7:
        return "fail"
    return f"question {number}" if number < NUM_LINES - NUM_LATE else f"late {number}"


def test_a_batch_outlives_kills_of_its_gateway(tmp_path: Path) -> None:
    lines = [line(number, words_of(number)) for number in range(NUM_LINES)]
    for each in lines:
        del each["body"]["model"]
    chance = random.Random(7)
    seen = -1
    with simulated(tmp_path, FAILS, LATE, OTHERS) as gateway:
        batch = begin(gateway, *lines)
    for kill in range(NUM_KILLS):
        with simulated(tmp_path, FAILS, LATE, OTHERS) as gateway:
            enough = (kill + 1) * NUM_LINES // (NUM_KILLS + 2) + chance.randrange(20)

            def num_ended(gateway: httpx.Client = gateway) -> int:
                counts = state_of(gateway, batch)["request_counts"]
                return counts["completed"] + counts["failed"]

            assert num_ended() >= seen  # what was said to be answered stays so
            wait_until(lambda enough=enough, num_ended=num_ended: num_ended() >= enough)
            seen = num_ended()
    assert seen <= NUM_LINES - NUM_LATE  # all were killed in the middle
    with simulated(tmp_path, FAILS, OTHERS) as gateway:
        ended = wait_for_end(gateway, batch)
        answered, failed = (lines_of(gateway, ended[f"{kind}_file_id"]) for kind in ("output", "error"))
    assert [each["custom_id"] for each in answered] == [f"request-{n}" for n in range(NUM_LINES) if n % 50 != 7]
    assert [each["custom_id"] for each in failed] == [f"request-{n}" for n in range(NUM_LINES) if n % 50 == 7]
    assert {text_of(each) for each in answered} == {"a b"}
    assert ended["request_counts"] == {"total": NUM_LINES, "completed": 294, "failed": 6}
