"""Translates a request's parameters into the engine's."""

from adapter.schema import WorkerRequest
from handlers.logit_changes import LogitChanges
from handlers.sampling import SamplingParameters


def sampling_parameters(request: WorkerRequest) -> SamplingParameters:
    return SamplingParameters(
        temperature=request.temperature,
        top_p=request.top_p,
        top_k=request.top_k,
        repetition_penalty=request.repetition_penalty,
        seed=request.seed,
        min_p=request.min_p,
        logprobs=request.logprobs,
        changes=LogitChanges(
            frequency_penalty=request.frequency_penalty,
            presence_penalty=request.presence_penalty,
            bias={int(token): bias for token, bias in request.logit_bias.items()},
            min_tokens=request.min_length,
            ignore_eos=request.ignore_eos,
        ),
    )
