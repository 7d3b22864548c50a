"""Random numbers without a state: a seed, a position and a token's id give always the same one.

SplitMix64 (Steele, Lea, Flood: Fast splittable pseudorandom number generators, OOPSLA 2014): a counter that goes on by
an odd number, and a function that mixes its bits. A position's numbers are a sequence that begins at a mixed counter.
"""

from torch import Tensor

# Unsigned in the paper; torch has signed integers only, whose products wrap round alike.
_STEP = 0x9E3779B97F4A7C15 - 2**64
_FIRST_FACTOR = 0xBF58476D1CE4E5B9 - 2**64
_SECOND_FACTOR = 0x94D049BB133111EB - 2**64
_BITS = 52  # so many and a half fit into float64 below 1


def noise_keys(seeds: Tensor, positions: Tensor) -> Tensor:
    """A key, [batch], for each pair of [batch] seeds and [batch] positions: another one for every other pair."""
    return _mix(_mix(seeds * _STEP) + positions * _STEP)


def token_noise(keys: Tensor, ids: Tensor) -> Tensor:
    """Gumbel noise, [batch, n] in float32, for keys [batch] and tokens [batch, n] or [n]."""
    return _gumbel(_mix(keys[:, None] + ids * _STEP))


def _gumbel(bits: Tensor) -> Tensor:
    uniforms = (_shift(bits, 64 - _BITS).double() + 0.5) * 2.0**-_BITS  # above 0, below 1
    return uniforms.log().neg().log().neg().float()


def _mix(numbers: Tensor) -> Tensor:
    numbers = (numbers ^ _shift(numbers, 30)) * _FIRST_FACTOR
    numbers = (numbers ^ _shift(numbers, 27)) * _SECOND_FACTOR
    return numbers ^ _shift(numbers, 31)


def _shift(numbers: Tensor, count: int) -> Tensor:
    """To the right, as unsigned numbers are: torch would repeat the sign."""
    return (numbers >> count) & ((1 << (64 - count)) - 1)
