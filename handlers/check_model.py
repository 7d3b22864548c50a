"""Loads a model as a worker would and checks the engine on it: `python -m handlers.check_model DIRECTORY MODEL_CONFIG`.

Prints the model's probes (adapter/probes.py), or ends with status 1 and one line on standard error when the model
cannot be served. Warnings for its author are lines on standard error that begin with "warning: ".
"""

import sys
from pathlib import Path

from pydantic import ValidationError

from adapter.probes import Probes
from handlers.chat_check import check_chat_template
from handlers.command_process import one_line_for
from handlers.model_loading import load_model
from handlers.probe_check import compare_with
from handlers.probe_recording import record_probes
from handlers.self_check import TIGHT_TOLERANCE, check_engine_beyond_original, check_engine_beyond_windows
from handlers.settings import HandlerSettings
from handlers.tokenizer_check import warn_of_ended_prompts, warn_of_other_tokens
from handlers.worker_engine import checked_engine, load_packed_model, worker_engine

_FEW_PREFILL_TOKENS = 16  # so that a prompt takes several steps


def check_model(directory: Path, model_config: Path) -> Probes:
    """Raises OSError or ValueError, whose message says why a worker could not serve the model."""
    settings = HandlerSettings.read(model_config)
    probes = _check_in_float32(directory, settings)
    loaded = load_packed_model(directory, settings)
    checked_engine(loaded, settings)
    compare_with(probes, loaded)
    return probes


def _check_in_float32(directory: Path, settings: HandlerSettings) -> Probes:
    """Errors of the engine show in float32: in 16 bits many of them are no larger than roundings.

    The weights are those that are stored, also if a worker has them in 8 bits: there the processor chooses the type of
    the rest, and the probes are the same on every machine.
    """
    settings = settings.model_copy(update={"quantization": None})
    loaded = load_model(directory, settings)
    warn_of_other_tokens(loaded.tokenizer, directory)
    warn_of_ended_prompts(loaded.tokenizer, loaded.stop_token_ids)
    check_chat_template(loaded.tokenizer)
    model = loaded.model.float()
    few = settings.model_copy(update={"prefill_tokens": _FEW_PREFILL_TOKENS})
    checked_engine(loaded, few, tolerance=TIGHT_TOLERANCE)
    engine = worker_engine(loaded, settings, None)
    check_engine_beyond_original(engine, model, tolerance=TIGHT_TOLERANCE)
    check_engine_beyond_windows(engine, model, tolerance=TIGHT_TOLERANCE)
    return record_probes(loaded)


def main(directory: str, model_config: str) -> None:
    with one_line_for(OSError, ValueError):
        try:
            probes = check_model(Path(directory), Path(model_config))
        except ValidationError as error:
            reasons = (f"handler.{'.'.join(map(str, each['loc']))}: {each['msg']}" for each in error.errors())
            sys.exit(f"{model_config}: {'; '.join(reasons)}")
    sys.stdout.buffer.write(probes.to_bytes())


if __name__ == "__main__":
    main(*sys.argv[1:])
