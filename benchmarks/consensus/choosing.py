"""Choose method and constants without looking at the set that they are judged on: leave one set out.

For each set the choice is made by the others alone, and only then is the set looked at. What a stranger's
crowd will see is the mean of these, not the best that fits all sets together.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np

from benchmarks.consensus.data import LabelSet
from benchmarks.consensus.labels import accuracy, calibration_error
from microtasks.core.consensus import skill
from microtasks.core.consensus.skill import Votes

#: A set is judged against the vote where its gold is large enough to tell.
GOLD_TO_TELL, MOST_UNDER_VOTE = 500, 1.0
#: When kinds of items are learnt instead of volunteers' tables.
RULES: dict[str, Callable[[Votes], bool]] = {
    "never": lambda votes: False,
    "two labels": lambda votes: votes.n_labels == 2,
    "two labels in use": skill.has_few_labels,
    "three labels in use": lambda votes: skill.labels_in_use(votes) <= 3,
    "always": lambda votes: True,
}
LEARNT_PARTS = (1 / 3, 1 / 2, 2 / 3, 1.0)
#: Who never wins alone against two: volunteers with fewer answers.
VOICES = (0, 20, 50, 10**9)
#: The learnt part of the probability: a - b times the shared error.
PROBABILITY_PARTS = tuple(product(np.arange(0.4, 1.01, 0.05).round(2), np.arange(0, 12.1, 0.5)))


@dataclass(frozen=True)
class Choice:
    """One way to make a consensus. What the product does is one of them (`chosen`)."""

    kinds: str
    learnt_part: float
    voice: int

    def __str__(self) -> str:
        if self.voice > 10**6:
            alone = "nobody wins alone"
        else:
            alone = (
                f"from {self.voice} answers on one may win alone" if self.voice else "anybody may win alone"
            )
        return f"kinds of items: {self.kinds}; {self.learnt_part:.0%} learnt; {alone}"


#: What core.consensus.skill does.
CHOSEN = Choice("two labels in use", skill.LEARNT_PART, skill.VOICE_MIN)


CHOICES = [Choice(*each) for each in product(RULES, LEARNT_PARTS, VOICES)]
N_CHOICES = len(CHOICES)


@dataclass(frozen=True)
class Prepared:
    """A set and what does not depend on the choice."""

    each: LabelSet
    vote: np.ndarray
    kinds: np.ndarray
    tables: np.ndarray

    def learnt(self, choice: Choice) -> np.ndarray:
        """What is learnt under this choice."""
        return self.kinds if RULES[choice.kinds](self.each.votes) else self.tables

    def posterior(self, choice: Choice) -> np.ndarray:
        """What a choice makes of the set."""
        pooled = skill.pool(self.vote, self.learnt(choice), choice.learnt_part)
        return skill.without_lone_winners(pooled, self.each.votes, choice.voice)


def prepare(sets: Sequence[LabelSet]) -> list[Prepared]:
    """Fit what all choices share."""
    return [
        Prepared(
            each,
            skill.weighted_vote(each.votes),
            skill.subtypes(each.votes),
            skill.confusion(each.votes, has_tables=False).posterior,
        )
        for each in sets
    ]


@dataclass(frozen=True)
class LeftOut:
    """What the others chose for one set, and how right it is there; majority: accuracy of the plain vote."""

    name: str
    n_gold: int
    choice: Choice
    accuracy: float
    chosen: float
    majority: float
    calibration: float


def leave_one_out(sets: Sequence[LabelSet]) -> list[LeftOut]:
    """Choose for each set by the others: the best mean accuracy, less what falls too far under the vote."""
    prepared = prepare(sets)
    table = np.array(
        [[accuracy(one.posterior(choice), one.each.gold) for one in prepared] for choice in CHOICES]
    )
    majority = np.array([accuracy(skill.counts(one.each.votes), one.each.gold) for one in prepared])
    n_gold = np.array([(one.each.gold >= 0).sum() for one in prepared])
    # Of choices that are equally good the product's own comes first.
    order = sorted(range(N_CHOICES), key=lambda k: CHOICES[k] != CHOSEN)
    result = []
    for number, one in enumerate(prepared):
        others = np.arange(len(prepared)) != number
        judged = others & (n_gold >= GOLD_TO_TELL)
        under = np.minimum(0, (table - majority)[:, judged] + MOST_UNDER_VOTE).min(axis=1, initial=0)
        value = np.round(table[:, others].mean(axis=1) + under, 6)
        best = max(order, key=lambda k: value[k])
        rest = [other for other in prepared if other is not one]
        result.append(
            LeftOut(
                one.each.name,
                int(n_gold[number]),
                CHOICES[best],
                float(table[best, number]),
                float(table[CHOICES.index(CHOSEN), number]),
                float(majority[number]),
                calibration_error(_calibrated(one, probability_parts(rest)), one.each.gold),
            )
        )
    return result


def probability_parts(prepared: Sequence[Prepared]) -> tuple[float, float]:
    """The a and b with which the mean probability is nearest to the accuracy, over these sets."""
    known = [one.each.gold >= 0 for one in prepared]
    right = np.array([accuracy(one.posterior(CHOSEN), one.each.gold) / 100 for one in prepared])
    vote = np.array([one.vote[k].max(axis=1).mean() for one, k in zip(prepared, known, strict=True)])
    learnt = np.array(
        [one.learnt(CHOSEN)[k].max(axis=1).mean() for one, k in zip(prepared, known, strict=True)]
    )
    shared = np.array([skill.shared_error(one.each.votes) for one in prepared])

    def gap(parts: tuple[float, float]) -> float:
        part = np.clip(parts[0] - parts[1] * shared, 0, 1)
        return float((np.abs(vote + part * (learnt - vote) - right) ** 1.5).sum())

    return min(PROBABILITY_PARTS, key=gap)


def _calibrated(one: Prepared, parts: tuple[float, float]) -> np.ndarray:
    part = min(max(parts[0] - parts[1] * skill.shared_error(one.each.votes), 0), 1)
    return skill.let_win(skill.pool(one.vote, one.learnt(CHOSEN), part), one.posterior(CHOSEN))
