"""When a contributor is served a task whose right answer is known, and what their gold record says."""

from __future__ import annotations

from random import Random

#: A newcomer's first tasks hold more gold: a skill must be known before it can weigh.
NEWCOMER_TASKS = 20
NEWCOMER_FACTOR = 2.0
SHARE_MAX = 0.5

#: The prior of a gold score: an unknown volunteer is taken for one who is right 7 times in 10.
PRIOR_SCORE = 0.7
PRIOR_TASKS = 4.0


def is_due(n_served: int, n_gold_seen: int, gold_share: float, rng: Random) -> bool:
    """Say whether the next task for this contributor should be gold.

    n_served: tasks served to them so far, gold included. gold_share: the project's, 0..0.5.
    Drawn at random so that nobody can tell which tasks are gold, but never more than one behind
    or two ahead of the share: a short session meets gold too. Twice the share in the first 20 tasks.
    """
    if gold_share <= 0:
        return False
    newcomer_share = min(SHARE_MAX, gold_share * NEWCOMER_FACTOR)
    share = newcomer_share if n_served < NEWCOMER_TASKS else gold_share
    n_new = min(n_served + 1, NEWCOMER_TASKS)
    expected = newcomer_share * n_new + gold_share * (n_served + 1 - n_new)
    if n_gold_seen < expected - 1:
        return True
    if n_gold_seen > expected + 1:
        return False
    return rng.random() < share


def score(total: float, n_scored: int) -> float:
    """Return a contributor's gold score, 0..1: the mean of their scores, shrunk to the average volunteer.

    total: sum of `TaskType.score` over the gold tasks they answered; n_scored: how many.
    """
    return (total + PRIOR_TASKS * PRIOR_SCORE) / (n_scored + PRIOR_TASKS)
