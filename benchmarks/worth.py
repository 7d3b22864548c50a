"""`make bench-worth`: what each optimisation is worth, switched on and off with all others as they are installed.

Each has the switch that a reader has, too. In the bare engine: what the gateway and TorchServe add is in `hop`.
"""

from collections.abc import Callable, Mapping
from functools import partial
from typing import NamedTuple

import torch
from transformers import PreTrainedModel

from benchmarks.joining_requests import JOINING, OUTPUT, PROMPT, Joining
from benchmarks.loaded_models import Variant, load
from benchmarks.own_stack import compiled, pack
from benchmarks.prefix import Prompts
from benchmarks.prompts import FirstToken
from benchmarks.random_models import random_model
from benchmarks.report import Table, write_report
from benchmarks.rounds import Figure, console, interleave
from benchmarks.step_times import (
    CONTEXT,
    compiled_engine,
    seconds_of_compiled_engine,
    seconds_of_engine,
    seconds_of_steps,
)
from handlers.compiled_steps import CompiledSteps
from handlers.engine import Engine
from handlers.packed_attention import leave_packed_attention, use_packed_attention
from handlers.passes_alone import compute_alone

SIZE, THREADS, ROUNDS = "25M", 2, 5
_LONG = 256  # tokens of a prompt

_METHOD = f"""\
A Llama model of {SIZE} parameters with random weights, on {THREADS} threads, in the bare engine; float32 where nothing
else is said. *On* and *off* are milliseconds, turn by turn; the ratio, of the same round, is how many times as fast it
is with the optimisation, and a value below 1 is a loss. A step has 128 tokens in the cache of each row."""

# What has no switch yet, so that nobody looks for its row.
_WITHOUT_SWITCH = [
    ["The engine's own thread that runs ahead of TorchServe's calls", "handlers/run_ahead.py"],
    ["Patience: several tokens of a stream in one answer", "handlers/generation.py"],
    ["Memory of the cache for what is used only", "handlers/slot_buffer.py"],
    ["The nucleus by its likeliest tokens, not by sorting a vocabulary", "handlers/sampling.py"],
    ["Answers from the cache: switched by TORCHBRIDGE_CACHE_MAX_AGE, and worth a whole answer", "adapter/generation"],
]


class Optimisation(NamedTuple):
    """Two measures, in seconds, that differ in one thing."""

    name: str
    switch: str
    measured: str
    on: Callable[[], float]
    off: Callable[[], float]


def optimisations() -> list[Optimisation]:
    variants, halves = load(SIZE, torch.float32), load(SIZE, torch.bfloat16)
    stored, packed = variants[Variant.STORED], variants[Variant.PACKED]
    listed = [
        Optimisation(
            "Packed linear layers",
            "handlers/linear_layers.py, not called",
            f"a step of {rows}",
            seconds_of_engine(packed, rows),
            seconds_of_engine(stored, rows),
        )
        for rows in (1, 16)
    ]
    separate = load(SIZE, torch.float32, joined=False)[Variant.PACKED]
    listed += [
        Optimisation(
            "Query, key and value as one product, gate and up as another",
            "`pack_linear_layers(joined=False)`",
            f"a step of {rows}",
            seconds_of_engine(packed, rows),
            seconds_of_engine(separate, rows),
        )
        for rows in (1, 16)
    ]
    archive = pack(random_model(SIZE, torch.float32), THREADS)
    libraries = compiled(archive)
    steps = CompiledSteps(libraries, packed)
    with_steps = seconds_of_compiled_engine(packed, steps)
    listed += [
        Optimisation(
            "Compiled steps",
            "`torchbridge compile`",
            f"a step of {rows}",
            with_steps(rows),
            seconds_of_engine(packed, rows),
        )
        for rows in (1, 16)
    ]
    in_pieces, without_pieces = (FirstToken(compiled_engine(packed, each)) for each in (steps, steps.without_pieces()))
    listed += [
        Optimisation(
            "Compiled pieces of prompts, beside compiled steps",
            "handlers/compiled_steps.py, `without_pieces`",
            f"the first token of a prompt of {length}",
            partial(in_pieces.alone, length),
            partial(without_pieces.alone, length),
        )
        for length in (64, _LONG)
    ]
    listed += _of_all(with_steps, in_pieces)
    listed += [
        Optimisation(
            "int8 weights, beside bfloat16",
            "`quantization: int8`",
            f"a step of {rows}",
            seconds_of_engine(halves[Variant.INT8], rows),
            seconds_of_engine(halves[Variant.PACKED], rows),
        )
        for rows in (1, 16)
    ]
    listed += _of_compiled_int8(halves)
    apart = load(SIZE, torch.float32)[Variant.PACKED]  # what is packed cannot be copied
    use_packed_attention(apart)
    leave_packed_attention(apart)
    joining = f"{JOINING} requests of {PROMPT} + {OUTPUT} tokens that join"
    listed.append(
        Optimisation(
            "Prompts and running rows in one pass",
            "leave_packed_attention",
            joining,
            Joining(packed),
            Joining(apart),
        )
    )
    listed.append(
        Optimisation(
            "Kept prefixes",
            "`prefix_slots: 0`",
            "the first token of a second request with the same 512",
            _second(Prompts(SIZE, torch.float32)),
            _second(Prompts(SIZE, torch.float32, prefix_slots=0)),
        )
    )
    listed.append(
        Optimisation(
            "Two threads",
            "`threads: 1`",
            "a step of 16",
            _with_threads(THREADS, seconds_of_engine(packed, 16)),
            _with_threads(1, seconds_of_engine(packed, 16)),
        )
    )
    return listed


def _of_all(with_steps: Callable[[int], Callable[[], float]], in_pieces: FirstToken) -> list[Optimisation]:
    """What is installed, beside the plain loop: the stored model, with one pass for each token of each request."""
    name, switch = "Everything at once", "`plain: true`"
    plain = load(SIZE, torch.float32)[Variant.STORED]
    compute_alone(plain)
    listed = [
        Optimisation(name, switch, f"a step of {rows}", with_steps(rows), _seconds_of_plain(plain, rows))
        for rows in (1, 16)
    ]
    first_token = FirstToken(Engine(plain, (), context_length=2 * _LONG))
    measured = f"the first token of a prompt of {_LONG}"
    listed.append(
        Optimisation(name, switch, measured, partial(in_pieces.alone, _LONG), partial(first_token.alone, _LONG))
    )
    return listed


def _seconds_of_plain(plain: PreTrainedModel, rows: int) -> Callable[[], float]:
    return seconds_of_steps(Engine(plain, (), slots=rows, context_length=2 * CONTEXT), rows, CONTEXT)


def _of_compiled_int8(halves: Mapping[Variant, PreTrainedModel]) -> list[Optimisation]:
    """Beside the same weights uncompiled, and beside the others compiled."""
    directory = random_model(SIZE, torch.bfloat16)
    engines = {}
    for variant, types in ((Variant.INT8, {"quantization": "int8"}), (Variant.PACKED, {"dtype": "bfloat16"})):
        steps = CompiledSteps(compiled(pack(directory, THREADS, **types)), halves[variant])
        engines[variant] = seconds_of_compiled_engine(halves[variant], steps)
    int8, plain = engines[Variant.INT8], engines[Variant.PACKED]
    listed = []
    for rows in (1, 16):
        step = f"a step of {rows}"
        uncompiled = seconds_of_engine(halves[Variant.INT8], rows)
        listed += [
            Optimisation("Compiled steps of int8 weights", "`torchbridge compile`", step, int8(rows), uncompiled),
            Optimisation(
                "int8 weights, beside bfloat16, both compiled", "`quantization: int8`", step, int8(rows), plain(rows)
            ),
        ]
    return listed


def _second(prompts: Prompts) -> Callable[[], float]:
    return lambda: prompts.measure()["second"]


def _with_threads(count: int, measure: Callable[[], float]) -> Callable[[], float]:
    def measured() -> float:
        torch.set_num_threads(count)
        seconds = measure()
        torch.set_num_threads(THREADS)
        return seconds

    return measured


def table(listed: list[Optimisation], taken: Mapping[str, Figure]) -> Table:
    rows = []
    for number, each in enumerate(listed):
        on, off = taken[f"{number} on"], taken[f"{number} off"]
        times = [f"{1e3 * figure.median:.1f}" for figure in (on, off)]
        rows.append([each.name, each.switch, each.measured, *times, f"{off.over(on):.2f}"])
    return Table(["", "Switch", "Measured", "On, ms", "Off, ms", "Times as fast"], rows, "What each is worth")


def main() -> None:
    torch.set_num_threads(THREADS)
    console.print("about 5 minutes on a quiet machine, and three more where no compiled steps are there")
    listed = optimisations()
    measures = {f"{number} {way}": getattr(each, way) for number, each in enumerate(listed) for way in ("on", "off")}
    taken = interleave(measures, ROUNDS)
    write_report(
        "worth",
        title="What each optimisation is worth",
        method=_METHOD,
        tables=[table(listed, taken), Table(["Not switched here", "Where"], _WITHOUT_SWITCH, "Without a row")],
    )


if __name__ == "__main__":
    main()
