"""Loads a model as a worker would and checks the engine on it: `python -m handlers.check_model DIRECTORY MODEL_CONFIG`.

Prints the model's probes (adapter/probes.py), or ends with status 1 and one line on standard error when the model
cannot be served.
"""

import sys
from contextlib import redirect_stdout
from pathlib import Path

import yaml
from pydantic import ValidationError
from transformers.utils import logging

from adapter.probes import Probes
from handlers.engine import Engine
from handlers.model_loading import load_model
from handlers.probe_recording import record_probes
from handlers.self_check import check_engine
from handlers.settings import HandlerSettings


def check_model(directory: Path, model_config: Path) -> Probes:
    """Raises OSError or ValueError, whose message says why a worker could not serve the model."""
    settings = HandlerSettings.from_model_config(yaml.safe_load(model_config.read_text(encoding="utf-8")))
    loaded = load_model(directory, settings)
    engine = Engine(loaded.model, loaded.stop_token_ids, slots=2, context_length=loaded.context_length)
    check_engine(engine, loaded.model)
    return record_probes(loaded)


def main(directory: str, model_config: str) -> None:
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        with redirect_stdout(sys.stderr):  # whatever a library may have to say
            probes = check_model(Path(directory), Path(model_config))
    except ValidationError as error:
        reasons = (f"handler.{'.'.join(map(str, each['loc']))}: {each['msg']}" for each in error.errors())
        sys.exit(f"{model_config}: {'; '.join(reasons)}")
    except (OSError, ValueError) as error:
        sys.exit(" ".join(str(error).split()))
    sys.stdout.buffer.write(probes.to_bytes())


if __name__ == "__main__":
    main(*sys.argv[1:])
