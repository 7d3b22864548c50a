"""What a user's type checker makes of the client, where it is installed and not a part of what is checked."""

import os
import re
import subprocess
import sys

import pytest

RIGHT = """
from typing import assert_type

from pydantic import BaseModel

from adapter.client import AsyncGatewayClient, ChatDelta, ChatResponse, GatewayClient
from adapter.errors import TorchbridgeError
from adapter.schema import DeltaEvent, DoneEvent, GenerationResponse, ModelList, Problem, StartEvent


class Dog(BaseModel):
    name: str


client = GatewayClient("http://localhost:8000", api_key="key", max_retries=3)
answer = client.generate_text(prompt="Once", max_length=100, timeout=2.5, stop=["a", "b"])
assert_type(answer, GenerationResponse)
assert_type(client.generate_batch([{"prompt": "Once"}])[0], GenerationResponse | Problem)
assert_type(client.chat(messages=[{"role": "user", "content": "Hello"}], max_length=10), ChatResponse)
assert_type(client.models(), ModelList)
assert_type(client.generate_object(schema=Dog, prompt="A dog:", max_length=50), Dog)
assert_type(client.generate_object(schema=Dog, messages=[{"role": "user", "content": "A dog?"}]), Dog)
assert_type(client.generate_object(schema=list[Dog], prompt="Dogs:"), list[Dog])
with client.stream_text(prompt="Once") as stream:
    for event in stream:
        assert_type(event, StartEvent | DeltaEvent | DoneEvent)
        if event.type == "delta":
            assert_type(event, DeltaEvent)
    assert_type(stream.response, GenerationResponse)
with client.stream_chat(messages=[]) as chat:
    for piece in chat:
        assert_type(piece, ChatDelta)
    assert_type(chat.read(), ChatResponse)


async def call(client: AsyncGatewayClient) -> None:
    assert_type(await client.generate_text(prompt="Once"), GenerationResponse)
    assert_type(await client.generate_object(schema=Dog, prompt="A dog:"), Dog)
    async for event in client.stream_text(prompt="Once"):
        assert_type(event, StartEvent | DeltaEvent | DoneEvent)
    try:
        await client.health(max_retries=1)
    except TorchbridgeError as error:
        assert_type(error.retry_after, int | None)
"""
WRONG = """
from adapter.client import GatewayClient

client = GatewayClient()
client.generate_text(promt="Once")  # wrong
client.generate_text(prompt=1)  # wrong
client.generate_text()  # wrong
client.generate_text(prompt="Once", timeout="soon")  # wrong
client.chat(messages=["Hello"])  # wrong
client.generate_object(schema={"type": "object"}, prompt="A dog:")  # wrong
client.generate_object(schema=int)  # wrong
for event in client.stream_text(prompt="Once"):
    event.text  # wrong
"""

CHECKERS = {
    "mypy": ["mypy", "--strict", "--no-error-summary", "--cache-dir=cache"],
    "pyright": ["basedpyright", f"--pythonpath={sys.executable}"],
}


# mypy looks at all of pydantic first, and at the client itself in `make typecheck`.
AT_NIGHT = pytest.mark.skipif("TORCHBRIDGE_TEST_EVERY_POINT" not in os.environ, reason="make soak runs it")


@pytest.fixture(scope="module", params=[pytest.param("mypy", marks=AT_NIGHT), "pyright"])
def checked(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> str:
    directory = tmp_path_factory.mktemp("program")
    (directory / "right.py").write_text(RIGHT)
    (directory / "wrong.py").write_text(WRONG)
    (directory / "pyproject.toml").write_text('[tool.basedpyright]\ntypeCheckingMode = "strict"\n')
    command = [sys.executable, "-m", *CHECKERS[request.param], "right.py", "wrong.py"]
    checked = subprocess.run(command, cwd=directory, capture_output=True, text=True, check=False)
    assert not checked.stderr
    return checked.stdout


def lines_at_fault(checked: str, name: str) -> set[int]:
    return {int(line) for line in re.findall(rf"{name}\.py:(\d+):.*\berror: ", checked)}


def test_a_program_that_is_right_has_the_types_that_the_contract_says(checked: str) -> None:
    assert lines_at_fault(checked, "right") == set()


def test_a_program_that_is_wrong_is_at_fault_where_it_is_wrong(checked: str) -> None:
    wrong = {number for number, line in enumerate(WRONG.splitlines(), 1) if "# wrong" in line}
    assert lines_at_fault(checked, "wrong") == wrong
