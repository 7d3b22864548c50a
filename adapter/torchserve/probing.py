"""Whether a version that is served answers as it did where it was packed.

It asks TorchServe itself, below the gateway's cache: every answer is the worker's own.
"""

import asyncio
import time
from collections.abc import Callable, Sequence
from contextlib import aclosing

from adapter.call import Call
from adapter.errors import InvalidRequest, PromptTooLong, UpstreamProtocol
from adapter.probes import Probe, Probes
from adapter.schema import DoneEvent, GenerationRequest, GenerationResponse
from adapter.torchserve.inference_client import InferenceClient

_WARM_UP_WORDS = (1, 10, 100)
_WARM_UP_TOKENS = 16
_SHOWN_BEFORE, _SHOWN = 10, 40  # characters


class ProbeMismatch(ValueError):
    """The model answers something else than it did where it was packed; the message shows what."""


async def warm_up(inference: InferenceClient, model: str, version: str, probes: Probes) -> None:
    """Asks once and then several times at once, long and short, greedy and not: the first times are slow.

    A model whose tokenizer cannot write English is asked what it was asked where it was packed.
    """
    try:
        await _ask_all([" ".join(["Hello"] * words) for words in _WARM_UP_WORDS], inference, model, version)
    except InvalidRequest:
        await _ask_all([probe.prompt for probe in probes.probes], inference, model, version)


async def _ask_all(prompts: Sequence[str], inference: InferenceClient, model: str, version: str) -> None:
    first, *others = (
        _request(prompt, _WARM_UP_TOKENS, temperature, model, version) for prompt in prompts for temperature in (0, 1)
    )
    await _answer(inference, first, "warm-up-0")
    asked = (_answer(inference, request, f"warm-up-{number}") for number, request in enumerate(others, start=1))
    for outcome in await asyncio.gather(*asked, return_exceptions=True):
        # The context may be too short for the long ones.
        if isinstance(outcome, BaseException) and not isinstance(outcome, PromptTooLong):
            raise outcome


async def probe(
    inference: InferenceClient,
    model: str,
    version: str,
    probes: Probes,
    report: Callable[[Probe], None] = lambda _: None,
) -> None:
    """Asks for each recorded answer again, and reports each that comes.

    Raises ProbeMismatch at the first that differs, and what `inference` raises.
    """
    for number, recorded in enumerate(probes.probes):
        request = _request(recorded.prompt, max(1, len(recorded.answer_tokens)), 0, model, version)
        _compare(recorded, await _answer(inference, request, f"probe-{number}"))
        report(recorded)


def _request(prompt: str, max_length: int, temperature: float, model: str, version: str) -> GenerationRequest:
    return GenerationRequest(
        prompt=prompt, max_length=max_length, temperature=temperature, model=model, model_version=version
    )


async def _answer(inference: InferenceClient, request: GenerationRequest, request_id: str) -> GenerationResponse:
    async with aclosing(inference.stream(request, Call(request_id, time.monotonic()))) as arrivals:
        async for events in arrivals:
            if isinstance(events[-1], DoneEvent):
                return events[-1].response
    raise UpstreamProtocol("The model server's answer made no sense.", cause="it has no last event")


def _compare(recorded: Probe, response: GenerationResponse) -> None:
    _expect(recorded, "tokens of the prompt", str(len(recorded.prompt_tokens)), str(response.prompt_tokens))
    if recorded.answer_tokens:  # if none was clear, any answer will do
        part = _length_in_common(recorded.answer, response.text)
        _expect(recorded, "text", _shown(recorded.answer, part), _shown(response.text, part))
        _expect(recorded, "tokens of the answer", str(len(recorded.answer_tokens)), str(response.tokens_generated))
        _expect(recorded, "end", recorded.finish_reason, response.finish_reason)


def _expect(recorded: Probe, what: str, expected: str, got: str) -> None:
    if expected != got:
        raise ProbeMismatch(
            f"{recorded.prompt!r} is not answered as it was when it was packed: {what}: expected {expected}, got {got}"
        )


def _length_in_common(one: str, other: str) -> int:
    differences = (index for index, (a, b) in enumerate(zip(one, other, strict=False)) if a != b)
    return next(differences, min(len(one), len(other)))


def _shown(text: str, part: int) -> str:
    """From a little before the place where two texts part, as a literal: it may hold what a terminal obeys."""
    begin = max(0, part - _SHOWN_BEFORE)
    return f"{'...' if begin else ''}{text[begin : begin + _SHOWN]!r}{'...' if len(text) > begin + _SHOWN else ''}"
