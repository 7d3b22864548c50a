"""`make bench-gpu`: whether a GPU gives the CPU's answers, and how fast it is, alone and through the whole stack.

At most 10 minutes, without a network. On a machine that has no GPU it rehearses itself: `--device cpu`, with small
models. A part that cannot run is told on the page, and the others go on.
"""

import argparse
import time
import traceback
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import NamedTuple, TypeVar

import torch

from benchmarks.gpu_engine import MEASURED, REHEARSED, STREAMS, Speed, Work, bandwidth, same_answers, speed_of_engine
from benchmarks.gpu_models import FAMILIES, LARGE, TINY, large_model, small_model
from benchmarks.gpu_stack import speed_of_stack, why_no_stack
from benchmarks.random_models import CACHE, Size
from benchmarks.report import RESULTS, Table, write_report
from benchmarks.rounds import console

_STACK_SIZE = "1B"  # the archive of 8 billion parameters would take the ten minutes by itself
_SECONDS = 540  # after which no further part is begun

_METHOD = """\
Models with random weights in bfloat16, made on the device, that never end by themselves: the shapes of Llama 3.2 1B and
of Llama 3.1 8B. *Alone* is the bare engine in the benchmark's process, {prompt} tokens of prompt and {output} of answer
for each stream, greedily decoded, the best of three runs; *the whole stack* is `torchbridge serve` asked for as many.
*First token*: of a prompt of {long_prompt:,} tokens. *Share*: the bytes of the weights that a second at one stream
reads, of what a copy within the device's memory moves in a second, read and written: {bandwidth:,.0f} GB/s.
*Synchronisations*: how often a step without a prompt waits for the device, as CUDA itself counts it. Greedy parity: in
float32 the engine's answers to six requests that join and leave are those of `generate` on the same device, token by
token."""

Result = TypeVar("Result")


class Arguments(NamedTuple):
    device: str
    output: Path
    has_stack: bool


def parse_arguments() -> Arguments:
    parser = argparse.ArgumentParser()
    parser.add_argument("--device", default="cuda", choices=("cuda", "cpu"), help="cpu: a rehearsal, small models")
    parser.add_argument("--output", type=Path, help="the page's directory; a rehearsal's is not benchmarks/results")
    parser.add_argument("--without-stack", action="store_true", help="the bare engine only")
    arguments = parser.parse_args()
    if arguments.device == "cuda" and not torch.cuda.is_available():
        parser.error(f"torch {torch.__version__} sees no GPU; --device cpu rehearses the benchmark")
    output = arguments.output or (RESULTS if arguments.device == "cuda" else CACHE / "rehearsal")
    return Arguments(arguments.device, output, not arguments.without_stack)


class Page:
    """What has been seen so far; a part that fails leaves its reason."""

    def __init__(self, began_at: float) -> None:
        self._began_at = began_at
        self.speeds: list[list[str]] = []
        self.parity: list[list[str]] = []
        self.left_out: list[str] = []

    def run(self, name: str, part: Callable[[], Result]) -> Result | None:
        if time.monotonic() - self._began_at > _SECONDS:
            self.left_out.append(f"{name}: there was no time left")
            return None
        console.print(f"{name}, after {time.monotonic() - self._began_at:.0f} s")
        try:
            return part()
        except Exception as error:  # noqa: BLE001 - the others go on
            traceback.print_exc()
            self.left_out.append(f"{name}: {type(error).__name__}: {' '.join(str(error).split())[:300]}")
            return None

    def add_speed(self, name: str, speed: Speed) -> None:
        self.speeds.append([name, *speed.cells()])

    def tables(self) -> list[Table]:
        header = ["", *(f"tokens/s, {count}" for count in STREAMS), "First token, ms", "Share", "Synchronisations"]
        left_out = [[reason] for reason in self.left_out]
        return [
            Table(["Family", "The answers of generate"], self.parity, "Greedy parity in float32"),
            Table(header, self.speeds, "Speed"),
            *([Table(["What"], left_out, "Left out")] if left_out else []),
        ]


def main() -> None:
    arguments = parse_arguments()
    page = Page(time.monotonic())
    device = torch.device(arguments.device)
    sizes, work = (LARGE, MEASURED) if arguments.device == "cuda" else (TINY, REHEARSED)
    moved = bandwidth(device)
    for family in FAMILIES:
        alike = page.run(f"parity of {family}", partial(parity, family, device))
        page.parity.append([family, "not seen" if alike is None else "yes" if alike else "**no**"])
    for name, size in sizes.items():
        measure(
            page, name, size, work, device=device, moved=moved, has_stack=arguments.has_stack and name == _STACK_SIZE
        )
    write_report(
        "gpu",
        title="On a GPU",
        method=_METHOD.format(
            prompt=work.prompt, output=work.output, long_prompt=work.long_prompt, bandwidth=moved / 1e9
        ),
        tables=page.tables(),
        command=f"make bench-gpu ARGS='--device {arguments.device}'",
        directory=arguments.output,
        versions=[device_name(device)],
    )


def parity(family: str, device: torch.device) -> bool:
    return same_answers(small_model(family, device))


def measure(
    page: Page, name: str, size: Size, work: Work, *, device: torch.device, moved: float, has_stack: bool
) -> None:
    """The model alone, and through the stack. Its memory is free again afterwards."""
    model = page.run(f"{name} made", lambda: large_model(size, device))
    if model is None:
        return
    alone = page.run(f"{name} alone", lambda: speed_of_engine(model, work, moved))
    if alone is not None:
        page.add_speed(f"{name}, alone", alone)
    if not has_stack:
        return
    if (reason := why_no_stack()) is not None:
        page.left_out.append(f"the whole stack: {reason}")
        return
    stack = page.run(f"{name} through the stack", lambda: speed_of_stack(model, name, size, work))
    if stack is not None:
        page.add_speed(f"{name}, the whole stack", stack)


def device_name(device: torch.device) -> str:
    return torch.cuda.get_device_name(device) if device.type == "cuda" else "no GPU: a rehearsal on the CPU"


if __name__ == "__main__":
    main()
