"""Numbers weighed by each volunteer's record: how precise they are, and how far they follow the others.

A robust weighted mean. Learnt from all answers of a project, without known values:

- **Junk** counts little or nothing: an answer's weight falls to 0 (Tukey's biweight) where it lies further
  from the middle of its task than answers of this project ever should, by how their deviations thin out;
  or of this task, where people differ more.
- **Precision**: a volunteer's scatter about the line `own number = bias + gain x the others' middle`.
- **Gain**: who answers 0 whatever there is has little scatter and says nothing. So the weight is gain over
  scatter, as in least squares, and drawn to the crowd's as if by PRIOR_ANSWERS average answers.

A bias is learnt, and not subtracted: on real crowds that moves the scale itself (measured worse).

Sources: Li et al. 2014 (CRH, doi:10.1145/2588555.2610509) and Zhao and Han 2012 (GTM), who weigh by precision
alone; Beaton and Tukey 1974 (doi:10.1080/00401706.1974.10489171) for the biweight. Constants: chosen on
simulated crowds and four real sets, each left out in turn (`python -m benchmarks.consensus.numbers`).
"""

from __future__ import annotations

from dataclasses import dataclass
from math import erf, floor, log10, sqrt
from typing import Any

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[Any]

#: Deviations from their task's median at these shares of all answers say how their tail goes on; what is
#: further out than a tail that thins out exponentially reaches with chance exp(-TAIL) is junk. Where that is
#: TORN times what the nearer answers say, more than a tenth is junk, and the nearer ones have the word.
TAILS, TAIL, TORN = ((0.6, 0.85), (0.4, 0.7)), 12.0, 30.0
#: In a task whose answers differ more, what is further than this many of their own standard deviations.
OWN_SDS = 8.0
#: A volunteer's record is drawn to the crowd's as if by this many average answers.
PRIOR_ANSWERS = 80.0
#: Nobody counts for more, or less, than this many average volunteers.
LIGHTEST, HEAVIEST = 0.1, 2.0
ROUNDS = 12
#: The scatter of a task's answers is drawn to the project's as if by this many.
SPREAD_PRIOR_ANSWERS = 4.0
MAD_TO_SD = 1.4826
_TINY = 1e-9


@dataclass(frozen=True, slots=True)
class Estimates:
    """What the answers of a project add up to.

    value, sd: of each task (nan where nobody answered); sd is the standard error of the value. weight: of
    each volunteer, the average is 1. bias, gain: of each volunteer's numbers against the others'.
    """

    value: Floats
    sd: Floats
    weight: Floats
    bias: Floats
    gain: Floats

    def rounded(self, task: int) -> float:
        """Return the value of a task, to a hundredth of its standard error."""
        value, sd = float(self.value[task]), float(self.sd[task])
        return float(f"{value:.10g}") if sd <= 0 else round(value, 2 - floor(log10(sd)))

    def confidence(self, task: int, tolerance: float) -> float:
        """Return the probability that the value of a task lies within the tolerance, 0..1."""
        sd = float(self.sd[task])
        return 1.0 if sd <= 0 else erf(tolerance / (sd * sqrt(2)))


def fit(
    task: Ints,
    person: Ints,
    value: Floats,
    n_tasks: int,
    n_people: int,
    gold: Floats | None = None,
    *,
    tail: float = TAIL,
    prior_answers: float = PRIOR_ANSWERS,
) -> Estimates:
    """Fit the values of all tasks and the records of all volunteers; one row an answer, in any order.

    gold: known values by task, nan where there is none; volunteers are compared with them there. The value of
    such a task is what people said, all the same.
    """
    weight, bias, gain = np.ones(n_people), np.zeros(n_people), np.ones(n_people)
    if not len(value):
        nothing = np.full(n_tasks, np.nan)
        return Estimates(nothing, nothing, weight, bias, gain)
    reach, middle = _reach(task, value, n_tasks, tail)
    count = np.bincount(task, minlength=n_tasks)
    counts_fully = np.ones(len(value))
    for _ in range(ROUNDS):
        counts_fully = _biweight((value - middle[task]) / reach[task])
        own = weight[person] * counts_fully
        total, summed = np.bincount(task, own, n_tasks), np.bincount(task, own * value, n_tasks)
        middle = np.where(count > 0, summed / np.maximum(total, _TINY**2), np.nan)
        rest = total[task] - own
        others = np.where(rest > _TINY, (summed[task] - own * value) / np.maximum(rest, _TINY), middle[task])
        if gold is not None:
            others = np.where(np.isnan(gold[task]), others, gold[task])
        kept = np.clip(value, middle[task] - reach[task], middle[task] + reach[task])
        part = np.where((count[task] > 1) & (rest > _TINY), counts_fully, 0.0)
        weight, bias, gain = _records(person, kept, others, part, n_people, prior_answers)
    return Estimates(middle, _standard_error(task, value, middle, own, n_tasks), weight, bias, gain)


def _reach(task: Ints, value: Floats, n_tasks: int, tail: float) -> tuple[Floats, Floats]:
    """How far from the middle an answer counts at all, by task; and the median of each task."""
    median = _medians(task, value, n_tasks)
    away = np.abs(value - median[task])
    project, nearer = (_tail_end(away, start, end, tail) for start, end in TAILS)
    if 0 < TORN * nearer < project:
        project = nearer
    own = MAD_TO_SD * _medians(task, away, n_tasks)
    smallest = _TINY * max(1.0, float(np.median(np.abs(value))))
    return np.maximum(np.fmax(OWN_SDS * own, project), smallest), median


def _tail_end(away: Floats, start: float, end: float, tail: float) -> float:
    """Where an exponential tail through the quantiles at `start` and `end` has exp(-tail) left."""
    low, high = np.quantile(away, [start, end])
    return float(low + (high - low) * (tail + np.log(1 - start)) / np.log((1 - start) / (1 - end)))


def _medians(task: Ints, value: Floats, n_tasks: int) -> Floats:
    """The median of each task's values; nan where there is none."""
    ordered = value[np.lexsort((value, task))]
    count = np.bincount(task, minlength=n_tasks)
    begin = np.cumsum(count) - count
    low = np.minimum(begin + np.maximum(count - 1, 0) // 2, len(value) - 1)
    high = np.minimum(begin + count // 2, len(value) - 1)
    return np.where(count > 0, (ordered[low] + ordered[high]) / 2, np.nan)


def _biweight(scaled: Floats) -> Floats:
    """Tukey's weight, 1 in the middle and (nearly) 0 from a scaled distance of 1 on."""
    return np.maximum(np.where(np.abs(scaled) < 1, np.square(1 - np.square(scaled)), 0.0), _TINY)


def _records(
    person: Ints, value: Floats, others: Floats, part: Floats, n: int, prior: float
) -> tuple[Floats, Floats, Floats]:
    """Weight, bias and gain of each volunteer: a line through their numbers against the others' middle."""
    count = np.bincount(person, part, n)
    n_all = count.sum()
    if n_all <= _TINY * len(value):
        return np.ones(n), np.zeros(n), np.ones(n)
    safe = np.maximum(count, _TINY)
    mean, mean_others = (
        np.bincount(person, part * value, n) / safe,
        np.bincount(person, part * others, n) / safe,
    )
    off, off_others = value - mean[person], others - mean_others[person]
    both = np.bincount(person, part * off * off_others, n)
    own_square = np.bincount(person, part * np.square(off), n)
    others_square = np.bincount(person, part * np.square(off_others), n)
    slope = both.sum() / others_square.sum() if others_square.sum() > 0 else 0.0
    if slope <= 0:  # the crowd's numbers do not follow each other: nobody's do more
        return np.ones(n), mean - mean_others, np.ones(n)
    pull = prior * others_square.sum() / n_all
    gain = (both / slope + pull) / (others_square + pull)
    line = gain * slope
    residual = np.maximum(own_square - 2 * line * both + np.square(line) * others_square, 0.0)
    pooled = residual.sum() / n_all
    if pooled <= 0:
        return np.ones(n), mean - mean_others, gain
    variance = (residual + prior * pooled) / (count + prior)
    weight = np.clip(np.maximum(gain, 0.0) * pooled / variance, LIGHTEST, HEAVIEST)
    return weight / (weight @ count / n_all), mean - mean_others, gain


def _standard_error(task: Ints, value: Floats, middle: Floats, own: Floats, n_tasks: int) -> Floats:
    """Of each weighted mean: its answers' scatter, drawn to the project's, over their effective number."""
    total, squares = np.bincount(task, own, n_tasks), np.bincount(task, np.square(own), n_tasks)
    safe = np.maximum(total, _TINY**2)
    effective = np.square(safe) / np.maximum(squares, _TINY**4)
    spread = np.bincount(task, own * np.square(value - middle[task]), n_tasks) / safe
    pooled = (spread @ np.maximum(effective, 0)) / max(float(np.maximum(effective - 1, 0).sum()), 1.0)
    variance = (spread * effective + SPREAD_PRIOR_ANSWERS * pooled) / (
        np.maximum(effective - 1, 0) + SPREAD_PRIOR_ANSWERS
    )
    return np.where(np.isnan(middle), np.nan, np.sqrt(variance / effective))
