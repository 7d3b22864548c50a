"""What is known of a rate that was seen to happen `k` times in `n`.

The upper end of the exact interval of Clopper and Pearson (The use of confidence or fiducial limits illustrated in the
case of the binomial, Biometrika 26, 1934): the rate at which k or fewer would be seen with a probability of only half
of what is left beside the confidence.
"""

import math

_BISECTIONS = 60


def upper_bound(seen: int, trials: int, confidence: float = 0.95) -> float:
    """1 without a trial. Raises ValueError where more were seen than tried."""
    if not 0 <= seen <= trials:
        raise ValueError(f"{seen} of {trials}")
    if seen == trials:
        return 1.0
    low, high = seen / trials, 1.0
    for _ in range(_BISECTIONS):
        middle = (low + high) / 2
        if _probability_of_at_most(seen, trials, middle) > (1 - confidence) / 2:
            low = middle
        else:
            high = middle
    return high


def _probability_of_at_most(seen: int, trials: int, rate: float) -> float:
    return math.fsum(_probability_of(number, trials, rate) for number in range(seen + 1))


def _probability_of(number: int, trials: int, rate: float) -> float:
    """In logarithms: the binomial coefficient of thousands is no float."""
    if rate in {0.0, 1.0}:
        return float(number == rate * trials)
    ways = math.lgamma(trials + 1) - math.lgamma(number + 1) - math.lgamma(trials - number + 1)
    return math.exp(ways + number * math.log(rate) + (trials - number) * math.log1p(-rate))
