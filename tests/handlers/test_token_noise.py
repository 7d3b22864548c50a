import torch

from handlers.token_noise import _STEP, _gumbel, _mix, noise_keys, token_noise

EULERS_CONSTANT = 0.5772156649


def test_numbers_are_those_of_splitmix64() -> None:
    # As Sebastiano Vigna's splitmix64.c gives them for the seed 1234567.
    expected = [6457827717110365317, 3203168211198807973, 9817491932198370423]

    numbers = _mix(1234567 + torch.arange(1, 4) * _STEP)

    assert [number % 2**64 for number in numbers.tolist()] == expected


def test_every_seed_position_and_token_has_noise_of_its_own() -> None:
    seeds, positions = torch.cartesian_prod(torch.arange(20), torch.arange(30)).unbind(1)
    noise = token_noise(noise_keys(seeds, positions), torch.arange(-10, 40))

    assert len(noise.unique()) > 0.999 * noise.numel()  # of 30,000 numbers in float32 a few are the same


def test_noise_is_gumbels_and_of_no_row_like_that_of_its_neighbours() -> None:
    keys = noise_keys(torch.full((1_000,), 5), torch.arange(1_000))
    noise = token_noise(keys, torch.arange(1_000)).double()
    deviation = torch.pi / 6**0.5

    assert abs(float(noise.mean()) - EULERS_CONSTANT) < 4 * deviation / 1_000
    assert abs(float(noise.std()) - deviation) < 0.01
    for first, second in ((noise[1:], noise[:-1]), (noise[:, 1:], noise[:, :-1])):
        correlation = torch.corrcoef(torch.stack([first.flatten(), second.flatten()]))[0, 1]
        assert abs(float(correlation)) < 4 / 1_000


def test_no_bits_give_noise_that_is_not_finite() -> None:
    noise = _gumbel(torch.tensor([0, -1]))  # no bit set, and all of them

    assert noise.isfinite().all()
    assert noise[0] < EULERS_CONSTANT < noise[1]
