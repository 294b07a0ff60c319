"""Easy and hard items: each class has three kinds of items, and volunteers a table for each kind.

For crowds whose errors depend on the item more than on the person. Enhanced Bayesian classifier combination
(Li, Rubinstein and Cohn, ICML 2019), by variational rounds.
"""

from __future__ import annotations

import numpy as np
from scipy.special import digamma
from scipy.stats import rankdata

from microtasks.core.consensus.votes import (
    Floats,
    Incidence,
    Ints,
    Votes,
    across,
    counts,
    every,
    softmax,
)

KINDS = 3
ROUNDS = 100
#: Rounds end when no task moves by more than this.
SETTLED = 0.01
#: With more answers than this so many rounds run on every n-th task, and then so many on all.
SAMPLE, ROUNDS_ON_SAMPLE, ROUNDS_ON_ALL = 150_000, 30, 3
#: Before anything is known, a volunteer is thought to say the right label four times as often as another.
RIGHT_BEFORE, WRONG_BEFORE = 4.0, 1.0


def subtypes(votes: Votes, gold: Ints | None = None, rounds: int = ROUNDS) -> Floats:
    """Return the posterior of each task's class, (n_tasks, n_labels).

    The start is the vote; kinds begin as easy, middling and hard items, by the share of the winning side.
    gold: label of each task whose truth is known, -1 elsewhere; it is held fast while the tables are learnt.
    """
    n_labels = votes.n_labels
    step = -(-len(votes.task) // SAMPLE)
    incidence = Incidence(votes)
    if step > 1:
        part = every(votes, step)
        part_incidence = Incidence(part)
        known = None if gold is None else gold[::step]
        z = _settle(part_incidence, _start(part), known, ROUNDS_ON_SAMPLE)
        z = _update(part_incidence, _held(z, known, n_labels), incidence)
        rounds = ROUNDS_ON_ALL
    else:
        z = _start(votes)
    # The last word is from the answers alone: gold is in the tables, not put in.
    z = _settle(incidence, z, gold, rounds)
    result: Floats = z.reshape(votes.n_tasks, n_labels, KINDS).sum(axis=2)
    return result


def _start(votes: Votes) -> Floats:
    tallies = counts(votes)
    share = (tallies + 1 / votes.n_labels) / (across(np.add, tallies) + 1)
    # Equal items have equal ranks: the numbers of the tasks must not matter.
    rank = (rankdata(across(np.maximum, share)[:, 0].round(9)) - 1) / max(votes.n_tasks - 1, 1)
    nearness = 1 - np.abs(rank[:, None] - np.linspace(0, 1, KINDS))
    kind = np.square(nearness) / np.square(nearness).sum(axis=1, keepdims=True)
    start: Floats = (share[:, :, None] * kind[:, None, :]).reshape(votes.n_tasks, -1)
    return start


def _settle(incidence: Incidence, z: Floats, gold: Ints | None, rounds: int) -> Floats:
    for _ in range(rounds):
        new = _update(incidence, _held(z, gold, incidence.n_labels), incidence)
        moved = np.abs(new - z).max(initial=0)
        z = new
        if moved < SETTLED:
            break
    return z


def _update(source: Incidence, z: Floats, target: Incidence) -> Floats:
    """Learn volunteers' tables from what the tasks of `source` are (z); return what those of `target` are.

    z[task, state]: how likely the task is of that class and kind; kinds of one class lie side by side.
    """
    n_labels = source.n_labels
    truth = np.repeat(np.arange(n_labels), KINDS)
    prior = np.where(truth[:, None] == np.arange(n_labels), RIGHT_BEFORE, WRONG_BEFORE)
    sizes = z.sum(axis=0).reshape(n_labels, KINDS)
    in_class = sizes + 0.1
    log_kind = digamma(in_class) - digamma(in_class.sum(axis=1, keepdims=True))
    classes = sizes.sum(axis=1) + 1
    log_class = digamma(classes) - digamma(classes.sum())
    scores = (log_class[:, None] + log_kind).reshape(-1)
    for people in source.blocks(len(truth)):
        rows = source.seen(z, people) + prior
        log_table = digamma(rows) - digamma(rows.sum(axis=2, keepdims=True))
        scores = scores + target.evidence(log_table, people)
    return softmax(scores)


def _held(z: Floats, gold: Ints | None, n_labels: int) -> Floats:
    """Known tasks in their class, of the kind that they seem to be."""
    if gold is None:
        return z
    known = gold >= 0
    is_right = np.repeat(np.arange(n_labels), KINDS) == gold[known, None]
    right = (z[known] + 1e-9) * is_right
    held = z.copy()
    held[known] = right / right.sum(axis=1, keepdims=True)
    return held
