"""Loads a model as a worker would and checks the engine on it: `python -m handlers.check_model DIRECTORY MODEL_CONFIG`.

Prints the model's probes (adapter/probes.py), or ends with status 1 and one line on standard error when the model
cannot be served. What its author should know besides is a line on standard error that begins with "warning: ".
"""

import sys
from pathlib import Path

from pydantic import ValidationError

from adapter.probes import Probes
from handlers.command_process import one_line_for
from handlers.engine import Engine
from handlers.model_loading import load_model
from handlers.probe_recording import record_probes
from handlers.self_check import check_engine
from handlers.settings import HandlerSettings
from handlers.tokenizer_check import warn_of_other_tokens


def check_model(directory: Path, model_config: Path) -> Probes:
    """Raises OSError or ValueError, whose message says why a worker could not serve the model."""
    settings = HandlerSettings.read(model_config)
    loaded = load_model(directory, settings)
    warn_of_other_tokens(loaded.tokenizer, directory)
    engine = Engine(loaded.model, loaded.stop_token_ids, slots=2, context_length=loaded.context_length)
    check_engine(engine, loaded.model)
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
