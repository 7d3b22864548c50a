"""A probe that tests/fakes.py answers as it was recorded."""

from typing import Any

from adapter.probes import Probe, Probes


def make_probe(**changes: Any) -> Probe:
    recorded = {
        "prompt": "Once",
        "prompt_tokens": (5, 6, 7),
        "answer": "Hello world",
        "answer_tokens": (8, 9),
        "finish_reason": "stop",
        "log_probabilities": (-10, -20, -3, 0),
    }
    return Probe(**recorded | changes)


PROBES = Probes(probes=(make_probe(), make_probe(prompt="Twice")))
