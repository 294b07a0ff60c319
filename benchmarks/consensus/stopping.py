"""Adaptive retirement, replayed on real answers: how few answers give how good results."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from benchmarks.consensus.data import LabelSet
from benchmarks.consensus.labels import accuracy
from microtasks.core.consensus import skill
from microtasks.core.stopping import Adaptive

SEEDS = 3
#: What others are compared with.
FIXED = 5
#: What is replayed: from the cheapest to the most careful; the last but one is the default.
POLICIES = {
    "stop when sure, 0.7, lead of 1, up to 10": Adaptive.at_level(2, 10, 0.7),
    "stop when sure, 0.8, lead of 1, up to 10": Adaptive.at_level(2, 10, 0.8),
    "stop when sure, 0.9, lead of 2, up to 10": Adaptive.at_level(2, 10, 0.9),
    "stop when sure, 0.95, lead of 2, up to 10 (default)": Adaptive.at_level(2, 10, 0.95),
    "stop when sure, 0.99, lead of 2, no limit": Adaptive(answers_max=99, sure=0.99),
}


@dataclass(frozen=True)
class Outcome:
    """answers: bought for each task with a known truth, on average. model, majority: accuracy in %."""

    answers: float
    model: float
    majority: float


def replay(each: LabelSet, policy: Adaptive | int, seed: int) -> Outcome:
    """Let answers come in random order, one for each open task and round, with a fit after each round.

    policy: or the fixed number of answers. What would have come after retirement is never seen.
    """
    votes = each.votes
    order = np.random.default_rng(seed).permutation(len(votes.task))
    order = order[np.argsort(votes.task[order], kind="stable")]
    task, person, label = votes.task[order], votes.person[order], votes.label[order]
    n = np.bincount(task, minlength=votes.n_tasks)
    place = np.arange(len(task)) - (np.cumsum(n) - n)[task]
    most = n if isinstance(policy, int) else np.minimum(n, policy.answers_max)
    bought = np.minimum(n, policy) if isinstance(policy, int) else most.copy()
    is_open = np.full(votes.n_tasks, not isinstance(policy, int))

    def so_far(limit: np.ndarray) -> skill.Votes:
        use = place < limit[task]
        return skill.sort(task[use], person[use], label[use], votes.n_tasks, votes.n_people, votes.n_labels)

    round_number = 0
    while is_open.any():
        assert not isinstance(policy, int)  # noqa: S101  (a fixed number leaves nothing open)
        round_number += 1
        now = so_far(np.where(is_open, round_number, bought))
        p = skill.confusion(now, rho=policy.correlation).posterior
        tallies = np.sort(skill.counts(now), axis=1)
        lead = tallies[:, -1] - tallies[:, -2]
        leads = skill.counts(now)[np.arange(votes.n_tasks), p.argmax(axis=1)] == tallies[:, -1]
        sure = (p.max(axis=1) >= policy.sure) & (lead >= policy.lead_min) & leads
        done = is_open & ((sure & (round_number >= policy.answers_min)) | (round_number >= most))
        bought[done] = np.minimum(round_number, n[done])
        is_open &= ~done
    final = so_far(bought)
    known = each.gold >= 0
    return Outcome(
        float(bought[known].mean()),
        accuracy(skill.fit(final).posterior, each.gold),
        accuracy(skill.counts(final), each.gold),
    )


def mean(sets: Sequence[LabelSet], policy: Adaptive | int, seeds: int = SEEDS) -> Outcome:
    """Mean over sets and orders."""
    runs = [replay(each, policy, seed) for each in sets for seed in range(seeds)]
    return Outcome(
        *(float(np.mean([getattr(run, name) for run in runs])) for name in ("answers", "model", "majority"))
    )
