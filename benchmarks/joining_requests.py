"""How long many requests take that join each other in one engine."""

import random
import time

from transformers import PreTrainedModel

from handlers.engine import Engine
from handlers.sampling import SamplingParameters

JOINING, PROMPT, OUTPUT, _SLOTS = 32, 64, 24, 16


class Joining:
    """Requests that join while others run, so that pieces of prompts meet running rows."""

    def __init__(self, model: PreTrainedModel) -> None:
        self._engine = Engine(model, (), slots=_SLOTS, context_length=512)
        self._vocabulary = model.config.vocab_size
        self._random = random.Random(0)  # noqa: S311 - prompts

    def __call__(self) -> float:
        begin = time.perf_counter()
        for number in range(JOINING):
            prompt = [self._random.randrange(self._vocabulary) for _ in range(PROMPT)]
            self._engine.submit(str(number), prompt, OUTPUT, SamplingParameters())
            self._engine.step()
        while self._engine.has_work:
            self._engine.step()
        return time.perf_counter() - begin
