"""A step of several rows with weights of 8 bits, compiled and held to the self-check: `python -m ... DIRECTORY`.

A program, for a test to choose the processor. Prints of how many rows the library's calls were.
"""

import json
import sys
from pathlib import Path

from handlers.engine import Engine
from handlers.linear_layers import pack_linear_layers
from handlers.self_check import check_engine
from handlers.step_graph import StepKind
from tests.handlers.conftest import CONTEXT_LENGTH, make_model
from tests.handlers.uncompiled_steps import compile_one_kind

SLOTS = 4


def main(directory: str) -> None:
    model = make_model("llama")
    pack_linear_layers(model, int8=True)
    steps = compile_one_kind(model, StepKind.MORE_ROWS, SLOTS, CONTEXT_LENGTH, Path(directory))
    check_engine(Engine(model, (), slots=SLOTS, context_length=CONTEXT_LENGTH, compiled_steps=steps), model)
    sys.stdout.write(json.dumps(steps.library_calls))


if __name__ == "__main__":
    main(*sys.argv[1:])
