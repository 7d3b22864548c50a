import pytest
import torch
from transformers import TemperatureLogitsWarper, TopKLogitsWarper, TopPLogitsWarper

from handlers.sampling import Sampler, SamplingParameters, draw_uniforms

VOCABULARY = 50
CPU = torch.device("cpu")
NOTHING_SEEN = torch.zeros(1, VOCABULARY, dtype=torch.bool)


def frequencies(parameters: SamplingParameters, logits: torch.Tensor, draws: int) -> torch.Tensor:
    """How often each token is picked when the uniform numbers lie evenly over [0, 1)."""
    sampler = Sampler([parameters] * draws, CPU)
    uniforms = (torch.arange(draws) + 0.5) / draws
    seen = torch.zeros(draws, logits.shape[1], dtype=torch.bool)
    return torch.bincount(sampler(logits.expand(draws, -1), uniforms, seen), minlength=logits.shape[1]) / draws


def expected_probabilities(logits: torch.Tensor, top_k: int | None, top_p: float | None) -> torch.Tensor:
    warped = TemperatureLogitsWarper(0.7)(None, logits)
    if top_k is not None:
        warped = TopKLogitsWarper(top_k)(None, warped)
    if top_p is not None:
        warped = TopPLogitsWarper(top_p)(None, warped)
    return warped.softmax(dim=-1)[0]


@pytest.mark.parametrize(
    ("top_k", "top_p"), [(None, None), (5, None), (None, 0.6), (10, 0.8)], ids=["plain", "top k", "top p", "both"]
)
def test_tokens_follow_the_distribution_that_transformers_samples_from(top_k: int | None, top_p: float | None) -> None:
    logits = torch.randn(1, VOCABULARY, generator=torch.Generator().manual_seed(1)) * 2
    expected = expected_probabilities(logits, top_k, top_p)

    picked = frequencies(SamplingParameters(temperature=0.7, top_k=top_k, top_p=top_p), logits, draws=20_000)

    assert torch.equal(picked[expected == 0], torch.zeros(int((expected == 0).sum())))
    torch.testing.assert_close(picked, expected, atol=2e-4, rtol=0)


@pytest.mark.parametrize(
    ("spread", "top_k", "top_p"),
    [(3.0, None, 0.9), (0.1, None, 0.9), (0.1, 1_000, 0.5)],
    ids=["nucleus within the candidates", "nucleus beyond them", "top k of a flat distribution"],
)
def test_tokens_of_a_large_vocabulary_stay_in_the_set_that_transformers_samples_from(
    spread: float, top_k: int | None, top_p: float
) -> None:
    logits = torch.randn(1, 5_000, generator=torch.Generator().manual_seed(4)) * spread
    expected = expected_probabilities(logits, top_k, top_p)

    picked = frequencies(SamplingParameters(temperature=0.7, top_k=top_k, top_p=top_p), logits, draws=4_000)

    assert float(picked[expected == 0].sum()) < 1e-3  # the last token of a nucleus may differ by rounding
    assert float((picked - expected).abs().sum()) < 0.5  # of 2; 4,000 draws cannot meet 5,000 probabilities exactly
    torch.testing.assert_close(picked.cumsum(0), expected.cumsum(0), atol=2e-2, rtol=0)


def test_top_p_of_1_samples_as_without_it() -> None:
    logits = torch.randn(1, 5_000, generator=torch.Generator().manual_seed(5)).expand(200, -1)
    uniforms = (torch.arange(200) + 0.5) / 200
    seen = torch.zeros(200, 5_000, dtype=torch.bool)
    with_it, without_it = (
        Sampler([SamplingParameters(temperature=1.0, top_p=top_p)] * 200, CPU)(logits, uniforms, seen)
        for top_p in (1.0, None)
    )

    assert torch.equal(with_it, without_it)


def test_temperature_near_0_takes_the_likeliest_token() -> None:
    logits = torch.randn(3, VOCABULARY, generator=torch.Generator().manual_seed(2))
    sampler = Sampler([SamplingParameters(temperature=1e-300, top_p=0.5)] * 3, CPU)

    assert torch.equal(sampler(logits, torch.rand(3), NOTHING_SEEN.expand(3, -1)), logits.argmax(dim=-1))


def test_temperature_0_takes_the_likeliest_token() -> None:
    logits = torch.randn(3, VOCABULARY, generator=torch.Generator().manual_seed(2))
    sampler = Sampler([SamplingParameters()] * 3, CPU)

    assert torch.equal(sampler(logits, torch.rand(3), NOTHING_SEEN.expand(3, -1)), logits.argmax(dim=-1))


def test_rows_with_different_parameters_get_what_each_gets_alone() -> None:
    parameters = [
        SamplingParameters(),
        SamplingParameters(temperature=1.0),
        SamplingParameters(temperature=0.5, top_k=3),
        SamplingParameters(temperature=2.0, top_p=0.3),
        SamplingParameters(temperature=1.0, repetition_penalty=2.0),
    ]
    generator = torch.Generator().manual_seed(3)
    logits = torch.randn(5, VOCABULARY, generator=generator)
    uniforms = torch.rand(5, generator=generator)
    seen = torch.rand(5, VOCABULARY, generator=generator) > 0.5

    together = Sampler(parameters, CPU)(logits, uniforms, seen)
    alone = [
        Sampler([parameters[row]], CPU)(logits[row : row + 1], uniforms[row : row + 1], seen[row : row + 1])
        for row in range(5)
    ]

    assert torch.equal(together, torch.cat(alone))


@pytest.mark.parametrize("uniform", [0.0, 1 - 2**-24], ids=["smallest", "largest"])
def test_token_without_probability_is_never_picked(uniform: float) -> None:
    logits = torch.full((1, VOCABULARY), float("-inf"))
    logits[0, 20:30] = 0.0

    token = Sampler([SamplingParameters(temperature=1.0)], CPU)(logits, torch.tensor([uniform]), NOTHING_SEEN)

    assert 20 <= int(token) < 30


def test_same_seed_draws_the_same_numbers_and_no_seed_different_ones() -> None:
    assert torch.equal(draw_uniforms(5, seed=1), draw_uniforms(5, seed=1))
    assert not torch.equal(draw_uniforms(5, seed=None), draw_uniforms(5, seed=None))
