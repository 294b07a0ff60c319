"""Consensus that weighs each volunteer by their track record: what all the answers of a project add up to.

Answers are columns (`Votes`), one row an answer, in whatever order: they are sorted first, so that the same
answers give the same bytes.

The `model` is half weighted vote, half learnt: where people use two labels, or about as few, by kinds of
items (`subtypes`), else by each volunteer's table (`tables`). The vote's half holds it back where everybody
errs at the same items. Where there is too little to learn from, the vote decides alone, and `Fit.decided_by`
says so. The `committee` is the plain mean of the vote and both. Every constant was chosen leave-one-set-out:
on fifteen sets of real answers, each judged by what the other fourteen would choose (docs/consensus.md).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize

from microtasks.core.consensus.subtypes import subtypes
from microtasks.core.consensus.tables import CORRELATION, Confusion, Skills, confusion, skills
from microtasks.core.consensus.votes import (
    Floats,
    Ints,
    Votes,
    across,
    counts,
    labels_in_use,
    softmax,
    sort,
    weighed,
    winners_in_use,
)

__all__ = [
    "CORRELATION",
    "SAME",
    "Confusion",
    "Fit",
    "Floats",
    "Ints",
    "Skills",
    "Votes",
    "confusion",
    "counts",
    "fit",
    "fit_each",
    "labels_in_use",
    "let_win",
    "pool",
    "skills",
    "sort",
    "subtypes",
    "weighted_vote",
    "without_lone_winners",
]

#: What the learnt half counts, when it is decided which label wins.
LEARNT_PART = 0.5
#: Up to so many labels in use, kinds of items are learnt; with more, volunteers' tables.
FEW_LABELS = 2.0
#: So also where at most this share of the labels wins (one gets nearly all, and slips use the others): there
#: tables take slips for rare items. Of more labels than LABELS_MOST kinds know too little: the vote decides.
UNBALANCED, LABELS_MOST = 0.36, 30
#: What the learnt part counts in the probability: this much, less SHARED_ERROR_COST a unit of shared error.
LEARNT_PART_OF_PROBABILITY, SHARED_ERROR_COST = 0.75, 6.5
#: Nothing can be learnt from fewer tasks with two answers, or if people with fewer answers gave half of them.
TASKS_MIN, RECORD_MIN = 20, 10
#: A volunteer with fewer answers than this never wins alone against two who agree.
VOICE_MIN = 20
#: The vote's shares are smoothed by half an answer, spread evenly.
SHARE_PRIOR = 0.5
#: From so many gold tasks on, the parts are fitted to them.
GOLD_MIN = 20
#: Without gold the learnt part may count nothing; gold begins with this. How far it moves the power.
LEARNT_LEAST, POWER_STEP = 0.02, 0.15
#: What a label may have at most that must not win, of what the winner has: further than a tie.
JUST_BELOW = 0.999
#: Posteriors nearer than this are a tie.
SAME = 1e-6
TINY = 1e-9

FitMethod = Literal["model", "committee"]


def weighted_vote(votes: Votes) -> Floats:
    """Return each task's shares of the vote weighted by agreement with the majority, smoothed; rows sum to 1.

    A volunteer who agrees with the majority in half their answers weighs half (ties count as a part).
    """
    tallies = counts(votes)
    is_top: Floats = (tallies >= across(np.maximum, tallies)).astype(float)
    top = is_top / across(np.add, is_top)
    agreed = np.bincount(votes.person, weights=top[votes.task, votes.label], minlength=votes.n_people)
    weight = agreed / np.maximum(np.bincount(votes.person, minlength=votes.n_people), 1)
    return _shares(weighed(votes, weight[votes.person]), tallies)


def plain_vote(votes: Votes) -> Floats:
    """Return each task's shares of the vote, everybody weighing the same, smoothed; rows sum to 1."""
    tallies = counts(votes)
    return _shares(tallies, tallies)


def _shares(support: Floats, tallies: Floats) -> Floats:
    n_labels = support.shape[1]
    total = across(np.add, support)
    n_answers = across(np.add, tallies)
    share = np.where(total > 0, support / np.maximum(total, TINY), 1 / n_labels)
    result: Floats = (share * n_answers + SHARE_PRIOR / n_labels) / (n_answers + SHARE_PRIOR)
    return result


def has_few_labels(votes: Votes) -> bool:
    """Are kinds of items learnt, and not volunteers' tables?"""
    return is_unbalanced(votes) or labels_in_use(votes) <= FEW_LABELS + SAME


def is_unbalanced(votes: Votes) -> bool:
    """Does one label of several win nearly always?"""
    return winners_in_use(votes) <= votes.n_labels * UNBALANCED


def shared_error(votes: Votes) -> float:
    """Return how far the answers to one task hang together, 0..1: 0 if each errs by themselves.

    The intraclass correlation of agreeing with the majority, by moments: on items that are hard for everybody
    the majority is smaller than the project's mean more often than chance makes it.
    """
    tallies = counts(votes)
    n = across(np.add, tallies)[:, 0]
    top = across(np.maximum, tallies)[:, 0]
    share = top.sum() / max(n.sum(), 1)
    pairs = (n * (n - 1)).sum()
    spread = share * (1 - share)
    if pairs <= 0 or spread <= TINY:
        return 0.0
    several = n >= 2
    excess = np.square(top - n * share)[several].sum() / spread - n[several].sum()
    return float(np.clip(excess / pairs, 0, 1))


def can_learn(votes: Votes) -> bool:
    """Is there enough to learn from? On parts of real sets the model gains nothing on the vote below this."""
    if votes.n_labels > LABELS_MOST and has_few_labels(votes):
        return False
    several = (across(np.add, counts(votes))[:, 0] >= 2).sum()
    record = np.bincount(votes.person, minlength=votes.n_people)
    return bool(several >= TASKS_MIN and np.median(record[votes.person]) >= RECORD_MIN)


@dataclass(frozen=True, slots=True)
class Fit:
    """What the answers of a whole project add up to.

    posterior[task, label]: rows sum to 1. decided_by: the vote where there was too little to learn from.
    learnt_part: what the learnt part counts in the probability, 0..1. n_gold: gold tasks that it was fitted
    on, 0 if none: then the posterior is the model's agreement with itself, not a measured probability.
    """

    posterior: Floats
    decided_by: Literal["vote", "model"]
    learnt_part: float = 0.0
    n_gold: int = 0


def fit(
    votes: Votes,
    gold: Ints | None = None,
    method: FitMethod = "model",
    can_always_learn: bool = False,
) -> Fit:
    """Fit the model, or the committee, to all answers of a project.

    gold: label of each task whose truth is known, -1 elsewhere: held fast while volunteers' tables are learnt
    and, where there are GOLD_MIN or more, used to weigh vote and model and so that 80 % means 80 %.
    can_always_learn: do not let the vote decide where there is too little to learn from (to measure that).

    1. Is there enough to learn from? 2. Take the weighted vote, and learn. 3. Pool them. 4. Nobody with
    little record wins alone against two.
    """
    known = np.zeros(votes.n_tasks, bool) if gold is None else gold >= 0
    tallies = counts(votes)
    known &= tallies.sum(axis=1) > 0
    n_gold = int(known.sum())
    if gold is None or n_gold == 0:
        gold = None
    if not (can_always_learn or n_gold >= GOLD_MIN or can_learn(votes)):
        return Fit(plain_vote(votes), "vote")
    vote = weighted_vote(votes)
    if method == "committee":
        posterior = (confusion(votes, gold, has_tables=False).posterior + vote + subtypes(votes, gold)) / 3
        return Fit(without_lone_winners(posterior, votes), "model", 2 / 3)
    learn = _by_kinds if has_few_labels(votes) else _by_tables
    learnt = learn(votes, gold)
    part = max(LEARNT_PART_OF_PROBABILITY - SHARED_ERROR_COST * shared_error(votes), 0.0)
    if gold is not None and n_gold >= GOLD_MIN:
        unseen = _unseen(learn, votes, gold, known)
        start = _Parts(LEARNT_PART, part, 1.0)
        parts = _to_gold(vote[known], unseen[known], gold[known], start)
    else:
        parts, n_gold = _Parts(LEARNT_PART, part, 1.0), 0
    posterior = softmax(parts.power * np.log(pool(vote, learnt, parts.probability) + TINY))
    posterior = let_win(posterior, pool(vote, learnt, parts.decision))
    return Fit(without_lone_winners(posterior, votes), "model", parts.probability, n_gold)


class _Parts(NamedTuple):
    """What the learnt part counts in deciding and in the probability, 0..1, and the power of the latter."""

    decision: float
    probability: float
    power: float


def _by_kinds(votes: Votes, gold: Ints | None) -> Floats:
    return subtypes(votes, gold)


def _by_tables(votes: Votes, gold: Ints | None) -> Floats:
    return confusion(votes, gold, has_tables=False).posterior


def pool(vote: Floats, learnt: Floats, part: float) -> Floats:
    """Return the mean of vote and what was learnt, which counts `part` of 1."""
    return part * learnt + (1 - part) * vote


def _to_gold(vote: Floats, learnt: Floats, gold: Ints, start: _Parts) -> _Parts:
    """Fit the parts to gold by likelihood, with priors: both shares take the same step in log odds.

    vote, learnt: of the gold tasks alone, by a fit that has not seen the gold.
    """
    row = np.arange(len(gold))

    def moved(steps: Floats) -> _Parts:
        decision = _shifted(start.decision, steps[0])
        probability = _shifted(max(start.probability, LEARNT_LEAST), steps[0])
        return _Parts(decision, probability, float(np.exp(POWER_STEP * steps[1])))

    def loss(steps: Floats) -> float:
        parts = moved(steps)
        p = softmax(parts.power * np.log(pool(vote, learnt, parts.probability) + TINY))[row, gold]
        return float(-np.log(p + 1e-12).sum() + 0.5 * np.square(steps).sum())

    best = moved(minimize(loss, np.zeros(2), method="BFGS").x)
    return _Parts(*(round(part, 6) for part in best))


def _unseen(
    learn: Callable[[Votes, Ints | None], Floats], votes: Votes, gold: Ints, known: NDArray[np.bool_]
) -> Floats:
    """What is learnt of each gold task from the other half of them: what is known by heart proves nothing."""
    half = np.cumsum(known) % 2 == 0
    result = np.empty((votes.n_tasks, votes.n_labels))
    for part in (half, ~half):
        result[part] = learn(votes, np.where(part, -1, gold))[part]
    return result


def _shifted(share: float, step: float) -> float:
    return float(1 / (1 + (1 - share) / share * np.exp(-step)))


def let_win(posterior: Floats, decisive: Floats) -> Floats:
    """Give the label that wins in `decisive` the greatest probability of the row; the two change places.

    What is a tie in `decisive` stays as it is. A thousandth of `decisive` is mixed in, to part what would
    else be a tie.
    """
    row = np.arange(len(posterior))
    is_top = decisive >= across(np.maximum, decisive) - SAME
    wins, leads = np.where(is_top, posterior, -1.0).argmax(axis=1), posterior.argmax(axis=1)
    result = posterior.copy()
    result[row, leads], result[row, wins] = posterior[row, wins], posterior[row, leads]
    return 0.999 * result + 0.001 * decisive


def without_lone_winners(posterior: Floats, votes: Votes, voice_min: int = VOICE_MIN) -> Floats:
    """No label wins against two who agree that one person alone has named, unless that one has a record.

    voice_min: a record is so many answers.
    """
    tallies = counts(votes)
    record = np.bincount(votes.person, minlength=votes.n_people)
    with_record = weighed(votes, (record >= voice_min)[votes.person].astype(float))
    is_lone = (tallies <= 1) & (with_record < 1) & (across(np.maximum, tallies) >= 2)
    best_of_others = across(np.maximum, np.where(is_lone, 0.0, posterior))
    wins = is_lone & (posterior >= best_of_others)
    if not wins.any():
        return posterior
    capped = np.where(wins, JUST_BELOW * best_of_others, posterior)
    result: Floats = capped / across(np.add, capped)
    return result


#: A choice with fewer votes than this shares one table a volunteer with the other rare ones.
RARE = 50


def fit_each(
    task: Ints,
    person: Ints,
    chosen: Sequence[Ints],
    n_tasks: int,
    n_people: int,
    gold: Sequence[Ints] | None = None,
) -> list[Floats] | None:
    """Fit one two-class model for each of several choices (tags): who saw it and did not choose it says no.

    task, person: one row an answer. chosen: for each choice, the rows that chose it. gold: for each choice
    1, 0 or -1 (unknown) by task. Returns the probability of each choice for each task, 0..1; None where there
    is too little to learn from. Choices with fewer than RARE votes are fitted together, as tasks of their own
    in one model. Volunteers' tables decide alone: people forget tags and hardly invent any, so the vote errs
    one way.
    """
    n_rows = len(task)
    silent = sort(task, person, np.zeros(n_rows, np.int8), n_tasks, n_people, 2)
    n_gold = max((int((known >= 0).sum()) for known in gold or ()), default=0)
    if not can_learn(silent) and n_gold < GOLD_MIN:
        return None
    probability: list[Floats] = [np.zeros(n_tasks) for _ in chosen]
    rare = [number for number, rows in enumerate(chosen) if len(rows) < RARE]
    groups = [[number] for number, rows in enumerate(chosen) if len(rows) >= RARE]
    groups += [rare] if rare else []
    for group in groups:
        label = np.zeros((len(group), n_rows), np.int8)
        for place, number in enumerate(group):
            label[place, chosen[number]] = 1
        offset = np.arange(len(group))[:, None] * n_tasks
        votes = sort(
            (task[None, :] + offset).ravel(),
            np.broadcast_to(person, (len(group), n_rows)).ravel(),
            label.ravel(),
            n_tasks * len(group),
            n_people,
            2,
        )
        known = None if gold is None else np.concatenate([gold[number] for number in group])
        posterior = _tables_alone(votes, known)[:, 1]
        for place, number in enumerate(group):
            probability[number] = posterior[place * n_tasks : (place + 1) * n_tasks]
    return probability


def _tables_alone(votes: Votes, gold: Ints | None) -> Floats:
    """Posterior by volunteers' tables; from GOLD_MIN gold tasks on, scaled so that 80 % means 80 %."""
    learnt = _by_tables(votes, gold)
    known = np.zeros(votes.n_tasks, bool) if gold is None else gold >= 0
    known &= counts(votes).sum(axis=1) > 0
    if gold is not None and known.sum() >= GOLD_MIN:
        unseen, right = _unseen(_by_tables, votes, gold, known)[known], gold[known]
        row = np.arange(len(right))

        def loss(step: Floats) -> float:
            p = softmax(float(np.exp(step[0])) * np.log(unseen + TINY))[row, right]
            return float(-np.log(p + 1e-12).sum() + 0.5 * step[0] ** 2)

        step = float(minimize(loss, np.zeros(1), method="BFGS").x[0])
        learnt = softmax(round(float(np.exp(step)), 6) * np.log(learnt + TINY))
    return without_lone_winners(learnt, votes)
