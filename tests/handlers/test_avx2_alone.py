"""A process that is held to AVX2 serves what others serve."""

import json
import os
import subprocess
import sys
from typing import Any

import pytest

from tests.handlers.compiling import NEEDS_COMPILER
from tests.project import PROJECT

HELD = {"ATEN_CPU_CAPABILITY": "avx2", "ONEDNN_MAX_CPU_ISA": "AVX2"}


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    command = [sys.executable, "-m", "tests.handlers.held_to_avx2", str(tmp_path_factory.mktemp("avx2"))]
    ran = subprocess.run(command, cwd=PROJECT, env=os.environ | HELD, capture_output=True, check=False)
    assert ran.returncode == 0, ran.stderr
    outcomes: dict[str, Any] = json.loads(ran.stdout)
    assert outcomes["can_compute_in_bfloat16"] is False
    return outcomes


def test_weights_in_bfloat16_are_computed_in_float32(outcomes: dict[str, Any]) -> None:
    assert outcomes["type_of_a_model_in_bfloat16"] == "torch.float32"


def test_weights_of_8_bits_are_packed_and_served(outcomes: dict[str, Any]) -> None:
    assert outcomes["tokens_of_weights_of_8_bits"] == 10


@NEEDS_COMPILER[0]
def test_compiled_rows_with_weights_of_8_bits_pass_their_check(outcomes: dict[str, Any]) -> None:
    assert max(outcomes["rows_of_a_compiled_step"]) > 1, outcomes["rows_of_a_compiled_step"]
