"""What a contributor's answers to tasks whose right answer is known say of them."""

from __future__ import annotations

#: The prior of a gold score: an unknown volunteer is taken for one who is right 7 times in 10.
PRIOR_SCORE = 0.7
PRIOR_TASKS = 4.0


def score(total: float, n_scored: int) -> float:
    """Return a contributor's gold score, 0..1: the mean of their scores, shrunk to the average volunteer.

    total: sum of `TaskType.score` over the gold tasks they answered; n_scored: how many.
    """
    return (total + PRIOR_TASKS * PRIOR_SCORE) / (n_scored + PRIOR_TASKS)
