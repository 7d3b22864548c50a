"""The gateway's counts since it began, by version, read from its metrics."""

from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.samples import Sample

Version = tuple[str, str]  # of a model


@dataclass
class Counts:
    """first_tokens: how many answers had their first text within so many seconds, by the bounds of the histogram."""

    answers: float = 0
    failures: float = 0
    generated_tokens: float = 0
    prompt_tokens: float = 0
    first_tokens: dict[float, float] = field(default_factory=dict)


_SUMS = {
    "torchbridge_answers_total": "answers",
    "torchbridge_failures_total": "failures",
    "torchbridge_generated_tokens_total": "generated_tokens",
    "torchbridge_prompt_tokens_total": "prompt_tokens",
}
_FIRST_TOKENS = "torchbridge_time_to_first_token_seconds_bucket"


def read_counts(metrics: str) -> Mapping[Version, Counts]:
    """metrics: in Prometheus' text format."""
    counts: defaultdict[Version, Counts] = defaultdict(Counts)
    for sample in _samples(metrics):
        if "model" not in sample.labels:
            continue
        found = counts[sample.labels["model"], sample.labels["model_version"]]
        if (name := _SUMS.get(sample.name)) is not None:
            setattr(found, name, getattr(found, name) + sample.value)
        elif sample.name == _FIRST_TOKENS:
            found.first_tokens[float(sample.labels["le"])] = sample.value
    return counts


def _samples(metrics: str) -> Iterator[Sample]:
    for family in text_string_to_metric_families(metrics):
        yield from family.samples
