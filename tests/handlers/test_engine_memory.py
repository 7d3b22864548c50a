"""How much memory a process takes for its requests: that of the tokens that they hold, not of the slots."""

import subprocess
import sys
from pathlib import Path

import pytest

PROJECT = Path(__file__).parents[2]
MEGABYTE = 2**20
# Prints the resident bytes before the requests, beside the long one, and when it has ended.
SCRIPT = """
import mmap
from pathlib import Path

import torch
from transformers import LlamaConfig, LlamaForCausalLM

from handlers.engine import Engine
from handlers.sampling import SamplingParameters

def resident():
    return int(Path("/proc/self/statm").read_text().split()[1]) * mmap.PAGESIZE

torch.set_num_threads(1)
config = LlamaConfig(
    vocab_size=99, hidden_size=256, intermediate_size=64, num_hidden_layers=2, num_attention_heads=4,
    num_key_value_heads=4, max_position_embeddings=4_096,
)
engine = Engine(LlamaForCausalLM(config).eval(), (), slots=64, context_length=4_096)

def run_until(running):
    while (step := engine.step()) is None or len(step.ids) < running:
        pass

# A long prompt first, whose scores leave their own memory with the allocator.
engine.submit("earlier", [7] * 3_900, 1, SamplingParameters())
while engine.has_work:
    engine.step()
print(resident())
for number in range(30):
    engine.submit(f"before {number}", [number] * 20, 4_000, SamplingParameters())
engine.submit("long", [7] * 3_900, 4_000, SamplingParameters())
for number in range(33):
    engine.submit(f"after {number}", [number] * 20, 4_000, SamplingParameters())
run_until(64)
print(resident())
engine.cancel("long")
run_until(63)
print(resident())
"""
BYTES_OF_A_TOKEN = 2 * 2 * 256 * 4  # two layers' keys and values in float32
LONG, ALL_SLOTS = 3_900 * BYTES_OF_A_TOKEN, 64 * 4_096 * BYTES_OF_A_TOKEN


@pytest.fixture(scope="module")
def resident() -> list[int]:
    run = subprocess.run([sys.executable, "-c", SCRIPT], cwd=PROJECT, capture_output=True, check=True, text=True)
    return [int(line) for line in run.stdout.split()]


def test_one_long_and_63_short_requests_take_the_memory_of_their_tokens(resident: list[int]) -> None:
    before, beside, _ = resident

    assert LONG <= beside - before <= LONG + 40 * MEGABYTE < ALL_SLOTS / 10


def test_the_memory_of_the_long_one_is_given_back_with_its_end(resident: list[int]) -> None:
    _, beside, after = resident

    assert beside - after >= 0.9 * LONG
