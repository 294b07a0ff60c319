"""The vote: plurality among choices, each choice of several on its own, and how sure a vote makes us.

Plain Python, fast enough for the submit transaction; models that weigh volunteers are in `skill.py`.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

Key = TypeVar("Key")

#: What the plain confidence takes for granted: a volunteer is right 7 times in 10, and errs evenly.
ASSUMED_ACCURACY = 0.7
#: Volunteers err together on hard tasks: n answers are worth n / (1 + 0.1 (n - 1)) independent ones.
CORRELATION = 0.1
#: Two supports closer than this are equal: weights are sums of fractions.
SAME = 1e-9


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the votes on one question add up to.

    value: None when nothing was said, or on a tie. agreement: weight of the votes that support the value over
    the weight of all votes, 0..1. confidence: 0..1 or None. tied: the values of equal support.
    lead: support of the value minus that of the next one, in votes. detail: what the kind adds.
    """

    value: Any
    agreement: float
    confidence: float | None
    tied: tuple[Any, ...] = ()
    lead: float = 0.0
    detail: dict[str, Any] = field(default_factory=dict)


def tally(votes: Iterable[tuple[Key, float]]) -> dict[Key, float]:
    """Sum the weights by value. Exact for any order of the votes."""
    weights: dict[Key, list[float]] = {}
    for value, weight in votes:
        weights.setdefault(value, []).append(weight)
    return {value: math.fsum(parts) for value, parts in weights.items()}


def leaders(support: Mapping[Key, float]) -> list[Key]:
    """Return the values of greatest support, sorted; none when nothing has any."""
    top = max(support.values(), default=0.0)
    return sorted((v for v, s in support.items() if s > 0 and s >= top - SAME), key=str)


def plurality(support: Mapping[str, float], n_choices: int, against: float = 0.0) -> Verdict:
    """Return the most frequent choice; a tie is said, not broken.

    support: votes (or weights) by choice. n_choices: how many could be chosen. against: weight of answers
    that support nothing ("I can't tell"): they lower the agreement. Confidence: see `confidence`.
    """
    total = math.fsum(support.values()) + against
    best = leaders(support)
    if not best:
        return Verdict(None, 0.0, None)
    top = support[best[0]]
    second = max((s for v, s in support.items() if v != best[0]), default=0.0)
    agreement = top / total
    sure = confidence(support, best[0], n_choices)
    if len(best) > 1:
        return Verdict(None, agreement, sure, tied=tuple(best))
    return Verdict(best[0], agreement, sure, lead=top - second)


def confidence(support: Mapping[Key, float], value: Key, n_choices: int) -> float:
    """Return the posterior probability of a value, 0..1, rounded to 6 places.

    One-coin model with a fixed accuracy (0.7) and a discount for errors made together (CORRELATION):
    it knows nothing of the volunteers, and one more vote for the value never lowers it.
    """
    n_choices = max(n_choices, len(support), 2)
    total = math.fsum(support.values())
    per_vote = math.log(ASSUMED_ACCURACY * (n_choices - 1) / (1 - ASSUMED_ACCURACY))
    per_vote /= 1 + CORRELATION * max(total - 1, 0)
    mine = support.get(value, 0.0)
    n_silent = n_choices - len(support) - (0 if value in support else 1)
    odds_against = math.fsum(math.exp(per_vote * (s - mine)) for v, s in support.items() if v != value)
    odds_against += n_silent * math.exp(-per_vote * mine)
    return round(1 / (1 + odds_against), 6)


def entropy(support: Mapping[Key, float], n_choices: int) -> float:
    """Return how spread the votes are, 0 (all the same) to 1 (evenly over all choices); Shannon 1948.

    0 without votes. Rounded to 6 places.
    """
    total = math.fsum(support.values())
    if total <= 0:
        return 0.0
    shares = sorted(s / total for s in support.values() if s > 0)
    spread = -math.fsum(share * math.log(share) for share in shares)
    return round(max(spread, 0.0) / math.log(max(n_choices, len(support), 2)), 6)


def each(
    chosen: Mapping[str, float],
    total: float,
    threshold: float = 0.5,
    against: float = 0.0,
    candidates: Sequence[str] = (),
) -> Verdict:
    """Decide each of several choices on its own: in when more than `threshold` of the voters chose it.

    chosen: weight of the voters who chose it; total: weight of all voters (who chose none of them too).
    At one half exactly it is a tie. A threshold below one half is reached at equality, and knows no ties.
    agreement: of the least agreed choice. detail["choices"]: share, confidence, is_accepted and entropy of
    each.
    """
    if total <= 0:
        return Verdict(None, 0.0, None)
    choices: dict[str, dict[str, Any]] = {}
    accepted: list[str] = []
    tied: list[str] = []
    agreements, sures, leads = [], [], []
    for choice in dict.fromkeys([*candidates, *sorted(chosen)]):
        yes = min(chosen.get(choice, 0.0), total)
        share = yes / total
        is_tied = threshold == 0.5 and abs(2 * yes - total) <= SAME
        is_in = not is_tied and (share > 0.5 if threshold == 0.5 else share >= threshold - SAME)
        sure = confidence({"yes": yes, "no": total - yes}, "yes" if is_in else "no", 2)
        spread = entropy({"yes": yes, "no": total - yes}, 2)
        choices[choice] = {"share": share, "confidence": sure, "is_accepted": is_in, "entropy": spread}
        if is_tied:
            tied.append(choice)
        elif is_in:
            accepted.append(choice)
        agreements.append((yes if is_in else total - yes) / (total + against))
        leads.append(yes - (total - yes) if is_in else total - 2 * yes)
        sures.append(sure)
    return Verdict(
        None if tied else accepted,
        min(agreements, default=total / (total + against)),
        min(sures, default=confidence({"no": total}, "no", 2)),
        tied=tuple(tied),
        lead=min(leads, default=total),
        detail={"choices": choices},
    )
