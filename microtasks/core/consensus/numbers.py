"""Numbers: the median with an order-statistic interval, a Huber mean beside it, two camps flagged.

The median keeps its head where a tenth of the answers are typing errors; means do not.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import median

from microtasks.core.consensus.voting import Verdict

#: "About the same": within a tenth of the median, unless the project names a tolerance.
RELATIVE_TOLERANCE = 0.1
#: Huber's constant: 95 % efficient on a bell curve.
HUBER_K = 1.345
#: MAD of a bell curve times this is its standard deviation.
MAD_TO_SD = 1.4826


def consensus(values: Sequence[float], against: float = 0.0, tolerance: float | None = None) -> Verdict:
    """Return the median of the values.

    agreement: share of the answers within the tolerance (given, or a tenth of the median) of it.
    confidence: probability, by order statistics, that the crowd's median lies within the tolerance.
    detail: interval_low and interval_high (95 % for the crowd's median where n allows it, else the range),
    mad, huber, has_two_camps. `against`: answers that name no number. No ties: a median is always one number.
    """
    ordered = sorted(values)
    n = len(ordered)
    if n == 0:
        return Verdict(None, 0.0, None)
    middle = median(ordered)
    near = abs(middle) * RELATIVE_TOLERANCE if tolerance is None else tolerance
    near *= 1 + 1e-12  # a value at the very edge is inside, whatever the rounding
    n_below = sum(value < middle - near for value in ordered)
    n_above = sum(value > middle + near for value in ordered)
    low, high = interval(ordered)
    mad = median(sorted(abs(value - middle) for value in ordered))
    within = 1 - _at_most(n_below, n) - _at_most(n_above, n)
    return Verdict(
        middle,
        (n - n_below - n_above) / (n + against),
        round(max(0.0, within), 6),
        lead=float(n - 2 * (n_below + n_above)),
        detail={
            "interval_low": low,
            "interval_high": high,
            "mad": mad,
            "huber": huber(ordered),
            "has_two_camps": has_two_camps(ordered),
        },
    )


def interval(ordered: Sequence[float], level: float = 0.95) -> tuple[float, float]:
    """Return the order-statistic interval of the median of sorted values (binomial, distribution free).

    With fewer than six values no such interval reaches 95 %: the range is returned.
    """
    n = len(ordered)
    k = 0
    while k + 1 < n - k - 1 and 2 * _at_most(k + 1, n) <= 1 - level + 1e-12:
        k += 1
    return ordered[k], ordered[n - 1 - k]


def _at_most(k: int, n: int) -> float:
    """P(Binomial(n, 1/2) <= k)."""
    return float(sum(math.comb(n, i) for i in range(k + 1)) / (1 << n))


def huber(ordered: Sequence[float]) -> float:
    """Return the Huber mean of sorted values, with the MAD as its scale."""
    centre = median(ordered)
    scale = MAD_TO_SD * median(sorted(abs(value - centre) for value in ordered))
    if scale == 0:
        return centre
    for _ in range(50):
        weights = [min(1.0, HUBER_K * scale / max(abs(v - centre), 1e-300)) for v in ordered]
        new = math.fsum(w * v for w, v in zip(weights, ordered, strict=True)) / math.fsum(weights)
        if abs(new - centre) <= 1e-12 * scale:
            break
        centre = new
    return float(centre)


def has_two_camps(ordered: Sequence[float]) -> bool:
    """Say whether sorted values fall into two camps: their widest gap parts them into two groups of at
    least a quarter each, and is wider than three times the wider group's own MAD and a tenth of the range.
    """
    n = len(ordered)
    least = max(2, math.ceil(n / 4))
    if n < 2 * least:
        return False
    gap, cut = max((ordered[i] - ordered[i - 1], i) for i in range(least, n - least + 1))
    spread = 0.0
    for camp in (ordered[:cut], ordered[cut:]):
        middle = median(camp)
        spread = max(spread, median(sorted(abs(value - middle) for value in camp)))
    return gap > 3 * MAD_TO_SD * spread and gap > 0.1 * (ordered[-1] - ordered[0]) and gap > 0
