"""Whether "80 % sure" is right in 80 of 100 cases: stated probabilities beside how often they were right."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

#: Probabilities are gathered by tenths.
BINS = 10
#: Of the 95 % interval.
_Z = 1.959964


@dataclass(frozen=True, slots=True)
class Bin:
    """Results with a stated probability from `low` to `high`. All but n are shares, 0..1.

    stated: mean probability. right: share that is right, with its 95 % interval (Wilson 1927).
    """

    low: float
    high: float
    n: int
    stated: float
    right: float
    right_low: float
    right_high: float


def diagram(results: Iterable[tuple[float, bool]]) -> tuple[Bin, ...]:
    """Gather results (stated probability 0..1, is it right?) into bins from the least sure; none is empty."""
    gathered: dict[int, list[tuple[float, bool]]] = {}
    for stated, is_right in results:
        gathered.setdefault(min(int(stated * BINS), BINS - 1), []).append((stated, is_right))
    bins = []
    for place in sorted(gathered):
        bin_at_place = gathered[place]
        n, n_right = len(bin_at_place), sum(is_right for _, is_right in bin_at_place)
        low, high = wilson(n_right, n)
        mean = math.fsum(stated for stated, _ in bin_at_place) / n
        bins.append(Bin(place / BINS, (place + 1) / BINS, n, mean, n_right / n, low, high))
    return tuple(bins)


def calibration_error(bins: Iterable[Bin]) -> float:
    """Return the mean gap between stated and right, 0..1, each bin by its results; 0 without any."""
    all_bins = list(bins)
    n = sum(each.n for each in all_bins)
    return math.fsum(each.n * abs(each.stated - each.right) for each in all_bins) / n if n else 0.0


def wilson(n_right: int, n: int) -> tuple[float, float]:
    """Return the 95 % interval of a share, 0..1."""
    if n == 0:
        return 0.0, 1.0
    share = n_right / n
    middle = (share + _Z**2 / (2 * n)) / (1 + _Z**2 / n)
    half = _Z / (1 + _Z**2 / n) * math.sqrt(share * (1 - share) / n + _Z**2 / (4 * n**2))
    return max(middle - half, 0.0), min(middle + half, 1.0)
