"""Ways of answering that cannot be real work: the same answer always, too fast, far too many marks.

A volunteer with such a habit is excluded until the owner has looked; the answers stay. Every rule compares
with the other volunteers on the same tasks: where all images are empty, "nothing here" is right every time.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median
from typing import Literal

Habit = Literal["always_the_same", "too_fast", "too_many_marks", "one_size"]

ANSWERS_MIN = 10
#: As improbable as this, for a volunteer who gives that answer as often as the others do.
IMPROBABLE = 1e-4
SAME_SHARE = 0.95
#: A quarter of the others' usual time, and under two seconds.
FAST_SHARE, FAST_SECONDS = 0.25, 2.0
#: Five times the others' marks on the same images, and ten more an image.
MANY_FACTOR, MANY_MORE = 5.0, 10.0
#: Nearly all marks of exactly one size, where others' differ.
ONE_SIZE_SHARE, OTHERS_ONE_SIZE_SHARE, SIZES_MIN = 0.95, 0.5, 20


@dataclass(frozen=True, slots=True)
class Record:
    """What one volunteer did, beside what the others did on the same tasks.

    same_share: share of the answers that are their most frequent one; others_same_share: the share of that
    answer among the others' on the same tasks. seconds: time on each task, where known; others_seconds: the
    others' median. marks, others_marks: on each image, theirs and the others' median. one_size_share,
    others_one_size_share: share of the marks that have the most frequent size; n_sizes: marks with a size.
    """

    n_answers: int
    same_share: float = 0.0
    others_same_share: float = 1.0
    seconds: Sequence[float] = ()
    others_seconds: float | None = None
    marks: Sequence[int] = ()
    others_marks: Sequence[float] = ()
    n_sizes: int = 0
    one_size_share: float = 0.0
    others_one_size_share: float = 1.0


def habits(record: Record) -> list[Habit]:
    """Return what is wrong with a volunteer's way of answering; nothing for most, and for newcomers."""
    flags: list[Habit] = []
    if record.n_answers >= ANSWERS_MIN and record.same_share >= SAME_SHARE:
        n_same = round(record.same_share * record.n_answers)
        if at_least(n_same, record.n_answers, record.others_same_share) < IMPROBABLE:
            flags.append("always_the_same")
    if len(record.seconds) >= ANSWERS_MIN and record.others_seconds is not None:
        usual = median(record.seconds)
        if usual < FAST_SECONDS and usual < FAST_SHARE * record.others_seconds:
            flags.append("too_fast")
    if len(record.marks) >= 3:
        mine, theirs = sum(record.marks), sum(record.others_marks)
        if mine > MANY_FACTOR * theirs and mine > theirs + MANY_MORE * len(record.marks):
            flags.append("too_many_marks")
    if (
        record.n_sizes >= SIZES_MIN
        and record.one_size_share >= ONE_SIZE_SHARE
        and record.others_one_size_share <= OTHERS_ONE_SIZE_SHARE
    ):
        flags.append("one_size")
    return flags


def at_least(k: int, n: int, p: float) -> float:
    """P(Binomial(n, p) >= k)."""
    if p <= 0:
        return 0.0 if k > 0 else 1.0
    if p >= 1:
        return 1.0
    return math.fsum(
        math.exp(
            math.lgamma(n + 1)
            - math.lgamma(i + 1)
            - math.lgamma(n - i + 1)
            + i * math.log(p)
            + (n - i) * math.log1p(-p)
        )
        for i in range(k, n + 1)
    )
