"""How much people agree: Krippendorff's alpha with its interval, Fleiss' kappa, pairwise agreement, entropy.

All from one table: how often each label was given to each task (tasks in rows, labels in columns; tasks with
fewer than two answers say nothing and are left out). Sources: Krippendorff 2011, "Computing Krippendorff's
alpha-reliability"; Fleiss 1971; Shannon 1948.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Metric = Literal["nominal", "ordinal", "interval"]

BOOTSTRAP_DRAWS = 500


@dataclass(frozen=True, slots=True)
class Agreement:
    """Agreement in a project's field. None where it is not defined (too few answers, one label only).

    alpha: 1 perfect, 0 as by chance, below 0 worse. alpha_low, alpha_high: 95 % by bootstrap over tasks.
    fleiss: Fleiss' kappa, only where every task has equally many answers. pairwise: chance that two people
    who answered the same task agree, 0..1. n_tasks, n_answers: with two answers or more.
    """

    alpha: float | None
    alpha_low: float | None
    alpha_high: float | None
    fleiss: float | None
    pairwise: float | None
    n_tasks: int
    n_answers: int


def agreement(
    counts: Floats,
    metric: Metric = "nominal",
    values: Floats | None = None,
    rng: np.random.Generator | None = None,
) -> Agreement:
    """Return all statistics of a table of counts (tasks, labels).

    metric: nominal (labels differ or not), ordinal (columns are in order), interval (`values`: the number
    each column stands for). rng: for the bootstrap; without it there is no interval.
    """
    counts = counts[counts.sum(axis=1) >= 2]
    n_tasks, n_answers = len(counts), int(counts.sum())
    if n_tasks == 0:
        return Agreement(None, None, None, None, None, 0, 0)
    difference = _difference(counts.sum(axis=0), metric, values)
    disagreed = _disagreement(counts, difference)
    alpha = _alpha(disagreed.sum(), counts.sum(axis=0), difference)
    low = high = None
    if rng is not None and alpha is not None:
        low, high = _bootstrap(counts, disagreed, difference, rng)
    return Agreement(alpha, low, high, fleiss(counts), pairwise(counts), n_tasks, n_answers)


def alpha(counts: Floats, metric: Metric = "nominal", values: Floats | None = None) -> float | None:
    """Return Krippendorff's alpha; None when nobody could have disagreed."""
    counts = counts[counts.sum(axis=1) >= 2]
    difference = _difference(counts.sum(axis=0), metric, values)
    return _alpha(_disagreement(counts, difference).sum(), counts.sum(axis=0), difference)


def _difference(totals: Floats, metric: Metric, values: Floats | None) -> Floats:
    """Squared difference of each two labels, (labels, labels)."""
    n = len(totals)
    if metric == "nominal":
        return 1 - np.eye(n)
    if metric == "interval":
        place = np.arange(n) if values is None else values
        return np.square(place[:, None] - place)
    # Ordinal: labels are as far apart as there are answers between them.
    middle = np.cumsum(totals) - totals / 2
    return np.square(middle[:, None] - middle)


def _disagreement(counts: Floats, difference: Floats) -> Floats:
    """Each task's part of the observed disagreement: mean difference of its pairs, times its answers."""
    n = counts.sum(axis=1)
    parts: Floats = ((counts @ difference) * counts).sum(axis=1) / (n - 1)
    return parts


def _alpha(disagreed: float, totals: Floats, difference: Floats) -> float | None:
    n = totals.sum()
    expected = float(totals @ difference @ totals)
    if n < 2 or expected == 0:
        return None
    return float(1 - (n - 1) * disagreed / expected)


def _bootstrap(
    counts: Floats, disagreed: Floats, difference: Floats, rng: np.random.Generator
) -> tuple[float | None, float | None]:
    """2.5 % and 97.5 % of alpha when tasks are drawn again (the ordinal distances are kept)."""
    # Tasks with the same counts are drawn together: the same law, and fast for a million of them.
    rows, first, n = np.unique(counts, axis=0, return_index=True, return_counts=True)
    disagreed = disagreed[first]
    drawn = []
    for _ in range(BOOTSTRAP_DRAWS):
        weight = rng.multinomial(len(counts), n / len(counts)).astype(float)
        value = _alpha(float(weight @ disagreed), weight @ rows, difference)
        if value is not None:
            drawn.append(value)
    return _middle_95(drawn)


def _middle_95(drawn: Sequence[float]) -> tuple[float | None, float | None]:
    if not drawn:
        return None, None
    low, high = np.quantile(drawn, [0.025, 0.975])
    return float(low), float(high)


def of_numbers(
    task: NDArray[np.int32], value: Floats, n_tasks: int, rng: np.random.Generator | None = None
) -> Agreement:
    """Return the statistics of numbers, one row an answer: alpha by squared difference (interval).

    pairwise: share of pairs that gave the very same number. rng: for the bootstrap.
    """
    n = np.bincount(task, minlength=n_tasks).astype(float)
    rows = n[task] >= 2
    task, value = task[rows], value[rows]
    if not len(task):
        return Agreement(None, None, None, None, None, 0, 0)
    # From the middle, so that squares of great numbers do not swallow their differences.
    value = value - np.median(value)
    n = np.bincount(task, minlength=n_tasks).astype(float)
    is_kept = n >= 2
    n = n[is_kept]
    total = np.bincount(task, weights=value, minlength=n_tasks)[is_kept]
    square = np.bincount(task, weights=value * value, minlength=n_tasks)[is_kept]
    disagreed = 2 * (n * square - total * total) / (n - 1)

    def alpha_of(weight: Floats) -> float | None:
        n_all = float(weight @ n)
        expected = 2 * (n_all * float(weight @ square) - float(weight @ total) ** 2)
        if n_all < 2 or expected <= 1e-12 * max(n_all * float(weight @ square), 1e-300):
            return None
        return 1 - (n_all - 1) * float(weight @ disagreed) / expected

    alpha = alpha_of(np.ones(len(n)))
    low = high = None
    if rng is not None and alpha is not None:
        even = np.full(len(n), 1 / len(n))
        drawn = [alpha_of(rng.multinomial(len(n), even).astype(float)) for _ in range(BOOTSTRAP_DRAWS)]
        low, high = _middle_95([each for each in drawn if each is not None])
    same = np.unique(np.column_stack([task, value]), axis=0, return_counts=True)[1].astype(float)
    pairs = float((same * (same - 1)).sum() / (n * (n - 1)).sum())
    return Agreement(alpha, low, high, None, pairs, len(n), int(n.sum()))


def fleiss(counts: Floats) -> float | None:
    """Return Fleiss' kappa; None unless every task has the same number (two or more) of answers."""
    n = counts.sum(axis=1)
    if len(n) == 0 or n[0] < 2 or (n != n[0]).any():
        return None
    by_chance = float(np.square(counts.sum(axis=0) / counts.sum()).sum())
    if by_chance == 1:
        return None
    observed = float(((np.square(counts).sum(axis=1) - n) / (n * (n - 1))).mean())
    return (observed - by_chance) / (1 - by_chance)


def pairwise(counts: Floats) -> float | None:
    """Return the share of pairs of answers to the same task that are the same, over all pairs."""
    n = counts.sum(axis=1)
    pairs = float((n * (n - 1)).sum())
    return float((counts * (counts - 1)).sum()) / pairs if pairs else None


def entropy(counts: Floats) -> Floats:
    """Return each task's entropy, 0 (all agree) to 1 (evenly over all labels); 0 without answers."""
    total = counts.sum(axis=1, keepdims=True)
    share = counts / np.maximum(total, 1)
    with np.errstate(divide="ignore", invalid="ignore"):
        parts = np.where(share > 0, share * np.log(share), 0.0)
    result: Floats = np.abs(parts.sum(axis=1)) / np.log(max(counts.shape[1], 2))
    return result
