"""Seconds until a model is READY: of a TorchServe that starts with it, and of one that runs and is given it.

`make bench-cold_start`. The yardstick is a bare Python that loads the same weights.
"""

import itertools
import json
import subprocess
import sys
import tempfile
import time
import zipfile
from datetime import datetime
from pathlib import Path

import torch

from adapter.archives.archive import build_archive
from adapter.archives.model_check import check_model
from adapter.torchserve.archive_probe import served_alone
from adapter.torchserve.server_process import TorchServeProcess
from adapter.torchserve.worker_log import WorkerLog
from adapter.versions.version_waits import wait_for_workers
from benchmarks.plots import Bars
from benchmarks.project import PROJECT
from benchmarks.random_models import CACHE, random_model
from benchmarks.report import Goal, Table, goal_table, write_report
from benchmarks.rounds import interleave_many

NAME, SMALL_VERSION, VERSION = "cold", "1.0", "2.0"
WANTED, STEP_ROUNDS = 1.3, 3
OURS, REGISTER, BARE = "torchbridge, cold start", "torchbridge, register to READY", "bare Python"

# The lines of TorchServe's logs that end a stage, in their order.
STAGES = {
    "Java and TorchServe start": ("ts_log.log", "Loading initial models"),
    "unpack the archive": ("ts_log.log", f"Model {NAME} loaded."),
    "start the worker's Python": ("model_log.log", "Torch worker started."),
    "load and check the model": ("model_log.log", " is loaded: "),
}

BARE_LOAD = """
import sys, torch
from transformers import AutoModelForCausalLM, AutoTokenizer
AutoTokenizer.from_pretrained(sys.argv[1])
AutoModelForCausalLM.from_pretrained(sys.argv[1], dtype="auto")
"""
# What TextGenerationHandler does at load, in its order.
LOAD_STEPS = """
import json, pathlib, sys, time
import ts.model_service_worker, torch, yaml
seconds, begin = {}, time.perf_counter()
def done(step):
    global begin
    seconds[step], begin = time.perf_counter() - begin, time.perf_counter()
import handlers.text_generation as handler
from handlers.model_loading import load_model
from handlers.linear_layers import pack_linear_layers
from handlers.self_check import check_engine
from handlers.worker_engine import worker_engine
done("import the handler and transformers")
directory = pathlib.Path(sys.argv[1])
settings = handler.HandlerSettings.from_model_config(yaml.safe_load((directory / "model-config.yaml").read_text()))
with handler.checked_beside(directory):
    loaded = load_model(directory / "model", settings)
done("weights and tokenizer, and digests of the files beside")
pack_linear_layers(loaded.model)
done("packing the linear layers")
handler.threads_for(loaded.model, settings.threads)
done("thread choice")
engine = worker_engine(loaded, settings, None)
check_engine(engine, loaded.model)
done("self check, which allocates the cache")
handler.check_probes(directory, loaded)
done("probes")
print(json.dumps(seconds))
"""

METHOD = f"""\
The model has the shape of SmolLM-135M in float32 and random weights, 538 MB, which are in the machine's cache. Cold
start: from starting TorchServe as `torchbridge serve` does, with an archive that holds probes and the default
configuration, until it says that a worker is READY. Register to READY: the same archive as a second version beside one
of models/tiny, as `torchbridge deploy` registers it. Bare Python: a new process that imports torch and transformers and
has loaded the same weights and tokenizer. What the load consists of is taken in a process of its own that does what the
handler does at load, {STEP_ROUNDS} times."""


def load_bare(model: Path) -> dict[str, float]:
    begin = time.perf_counter()
    subprocess.run([sys.executable, "-c", BARE_LOAD, str(model)], check=True, capture_output=True)  # noqa: S603 - our own
    return {"seconds": time.perf_counter() - begin}


def start_cold(archive: Path) -> dict[str, float]:
    begin = time.time()
    with served_alone(archive, lambda _: None) as server:
        ready = time.time()
        logs = server.directory.logs
        ends = [begin, *(_time_of(logs / log, words) for log, words in STAGES.values()), ready]
    seconds = (end - start for start, end in itertools.pairwise(ends))
    return {"seconds": ready - begin, **dict(zip([*STAGES, "see that it is READY"], seconds, strict=True))}


def _time_of(log: Path, words: str) -> float:
    line = next(line for line in log.read_text(encoding="utf-8").splitlines() if words in line)
    return datetime.strptime(line.split()[0], "%Y-%m-%dT%H:%M:%S,%f").timestamp()  # noqa: DTZ007 - it is local time


def register(server: TorchServeProcess, archive: Path) -> dict[str, float]:
    log = WorkerLog(server.directory.worker_log, NAME, VERSION)
    begin = time.perf_counter()
    server.management.register(archive.name)
    wait_for_workers(server.management, NAME, VERSION, log, timeout=600)
    seconds = time.perf_counter() - begin
    server.management.unregister(NAME, VERSION)
    return {"seconds": seconds}


def load_in_steps(archive: Path) -> dict[str, float]:
    with tempfile.TemporaryDirectory() as directory:
        with zipfile.ZipFile(archive) as mar:
            mar.extractall(directory)
        command = [sys.executable, "-c", LOAD_STEPS, directory]
        ran = subprocess.run(command, cwd=PROJECT, check=True, capture_output=True)  # noqa: S603 - our own
    return {str(step): float(seconds) for step, seconds in json.loads(ran.stdout.splitlines()[-1]).items()}


def main() -> None:
    model, store = random_model("135M", torch.float32), CACHE / "cold_start"
    small = build_archive(PROJECT / "models" / "tiny", NAME, SMALL_VERSION, store)
    archive = build_archive(model, NAME, VERSION, store, check=check_model)
    with served_alone(small, lambda _: None) as server:
        ours, given = (lambda: start_cold(archive)), (lambda: register(server, archive))
        figures = interleave_many({OURS: ours, BARE: lambda: load_bare(model), REGISTER: given})
    steps = interleave_many({"steps": lambda: load_in_steps(archive)}, STEP_ROUNDS)["steps"]
    seconds = {name: quantities["seconds"] for name, quantities in figures.items()}
    stages = [[stage, f"{figure:.2f}"] for stage, figure in figures[OURS].items() if stage != "seconds"]
    stages += [[f"of the load: {step}", f"{figure:.2f}"] for step, figure in steps.items()]
    breakdown = Table(["Stage", "Seconds"], stages, "Where the seconds of a cold start go")
    ratios = {name: figure.over(seconds[BARE]) for name, figure in seconds.items()}
    rows = [[name, f"{figure:.2f}", f"{ratios[name]:.2f}"] for name, figure in seconds.items()]
    seen = ratios[OURS]
    goal = Goal("Cold start, over a bare Python's", f"at most {WANTED}", f"{seen:.2f}", seen.median <= WANTED)
    write_report(
        "cold_start",
        title="Cold start",
        method=METHOD,
        tables=[Table(["", "Seconds", "Times a bare Python"], rows), breakdown, goal_table([goal])],
        plots=[Bars("Until the model is READY", "seconds", seconds)],
    )


if __name__ == "__main__":
    main()
