"""Consensus that weighs each volunteer by their track record: models of who says what when what is true.

Answers are columns (`Votes`), one row an answer, in whatever order: they are sorted first, so that the same
answers give the same bytes. Three members, each known to fail elsewhere than the others:

* `confusion`: hierarchical Dawid and Skene, five rounds. Each volunteer has a table "what they say when it is
  k"; its prior is the whole crowd's table, so a newcomer counts as the average volunteer. (Dawid and Skene
  1979, doi:10.2307/2346806; Kim and Ghahramani 2012 for the hierarchy.) Few rounds on purpose: run to
  convergence, errors that many make together pull the classes away from what they mean.
* `weighted_vote`: votes weighted by how often a volunteer agrees with the majority (Wawa).
* `subtypes`: three kinds of items in each class, for crowds whose errors depend on the item (enhanced
  Bayesian classifier combination; Li, Rubinstein and Cohn, ICML 2019).

No member's word makes a lone voice win against two who agree: see `_without_lone_winners`.

The `model` is the geometric mean of the first two, the vote counting more: where the confusion tables are
misled, by items that are hard for everybody, the vote holds them back. The `committee` is the mean of three.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.sparse import csr_array
from scipy.special import digamma

Floats = NDArray[np.float64]
Ints = NDArray[Any]

ROUNDS = 5
#: A volunteer's table counts the crowd's as this many answers a row.
CROWD_WEIGHT = 4.0
#: Answers to one task are not independent: used when deciding whether to stop. See retirement.
CORRELATION = 0.03
#: Log odds of the model: this part from the confusion tables, that from the weighted vote.
CONFUSION_PART, VOTE_PART = 0.3, 0.7
#: The vote's shares are smoothed by half an answer, spread evenly.
SHARE_PRIOR = 0.5
#: From so many gold tasks on, the two parts are fitted to them.
GOLD_MIN = 20
#: What a label may have at most that must not win, of what the winner has: further than a tie.
JUST_BELOW = 0.999
#: Posteriors nearer than this are a tie.
SAME = 1e-6
TINY = 1e-9

SUBTYPES, SUBTYPE_ROUNDS = 3, 100


@dataclass(frozen=True, slots=True)
class Votes:
    """Answers as columns, sorted by task and person; build with `sort`."""

    task: Ints
    person: Ints
    label: Ints
    n_tasks: int
    n_people: int
    n_labels: int

    @property
    def starts(self) -> Ints:
        """First row of each task, and the end: n_tasks + 1 numbers."""
        starts: Ints = np.r_[0, np.cumsum(np.bincount(self.task, minlength=self.n_tasks))]
        return starts


def sort(task: Ints, person: Ints, label: Ints, n_tasks: int, n_people: int, n_labels: int) -> Votes:
    """Return votes in canonical order. Numbers count from 0."""
    key = task.astype(np.int64) * n_people + person
    if np.all(key[1:] >= key[:-1]):
        return Votes(task, person, label, n_tasks, n_people, n_labels)
    order = np.argsort(key, kind="stable")
    return Votes(task[order], person[order], label[order], n_tasks, n_people, n_labels)


def counts(votes: Votes) -> Floats:
    """Return the number of votes of each task for each label, (n_tasks, n_labels)."""
    cells = votes.task.astype(np.int64) * votes.n_labels + votes.label
    n = votes.n_tasks * votes.n_labels
    return np.bincount(cells, minlength=n).reshape(votes.n_tasks, votes.n_labels).astype(float)


@dataclass(frozen=True, slots=True)
class Confusion:
    """A fitted confusion model.

    log_table[person, truth, label], log_crowd[truth, label]: log P(label | truth). log_prior[truth]: log
    share of the classes. posterior[task, truth]: from the answers alone, gold not put in.
    """

    log_table: Floats
    log_crowd: Floats
    log_prior: Floats
    posterior: Floats


def confusion(votes: Votes, gold: Ints | None = None, rounds: int = ROUNDS, rho: float = 0.0) -> Confusion:
    """Fit the hierarchical Dawid and Skene model.

    gold: label of each task whose truth is known, -1 elsewhere; it is held fast while the tables are learnt.
    rho: in the last round n answers count as n / (1 + rho (n - 1)).
    """
    n_labels = votes.n_labels
    cell = votes.person.astype(np.int64) * n_labels + votes.label
    matrix = csr_array(
        (np.ones(len(cell)), cell.astype(np.int32), votes.starts.astype(np.int32)),
        shape=(votes.n_tasks, votes.n_people * n_labels),
    )
    by_cell = matrix.T.tocsr()
    tallies = counts(votes)
    n_answers = _across(np.add, tallies)
    z = np.where(n_answers > 0, tallies / np.maximum(n_answers, 1), 1 / n_labels)
    known = np.zeros(votes.n_tasks, bool) if gold is None else gold >= 0
    identity = np.eye(n_labels)
    posterior = z
    for round_number in range(rounds):
        z = posterior
        if gold is not None:
            z = np.where(known[:, None], identity[np.where(known, gold, 0)], posterior)
        # seen[person, label, truth]
        seen = (by_cell @ z).reshape(votes.n_people, n_labels, n_labels)
        crowd = seen.sum(axis=0).T + 2 * (2 * identity + 1) / (n_labels + 2)
        crowd /= crowd.sum(axis=1, keepdims=True)
        table = seen.transpose(0, 2, 1) + CROWD_WEIGHT * crowd + 0.01
        log_table = np.log(table)
        log_table -= np.log(table.sum(axis=2, keepdims=True))
        class_size = z.sum(axis=0) + 0.1 * votes.n_tasks / n_labels + 1
        log_prior = np.log(class_size / class_size.sum())
        by_label = log_table.transpose(0, 2, 1).reshape(-1, n_labels)
        evidence = matrix @ np.ascontiguousarray(by_label)
        if rho and round_number == rounds - 1:
            evidence /= 1 + rho * np.maximum(n_answers - 1, 0)
        posterior = _softmax(evidence + log_prior)
    return Confusion(log_table, np.log(crowd), log_prior, posterior)


def weighted_vote(votes: Votes) -> Floats:
    """Return each task's shares of the vote weighted by agreement with the majority, smoothed; rows sum to 1.

    A volunteer who agrees with the majority in half their answers weighs half (ties count as a part).
    """
    tallies = counts(votes)
    is_top: Floats = (tallies >= _across(np.maximum, tallies)).astype(float)
    top = is_top / _across(np.add, is_top)
    agreed = np.bincount(votes.person, weights=top[votes.task, votes.label], minlength=votes.n_people)
    weight = agreed / np.maximum(np.bincount(votes.person, minlength=votes.n_people), 1)
    cells = votes.task.astype(np.int64) * votes.n_labels + votes.label
    n = votes.n_tasks * votes.n_labels
    sums = np.bincount(cells, weights=weight[votes.person], minlength=n).reshape(tallies.shape)
    support: Floats = sums.astype(float)
    total = _across(np.add, support)
    n_answers = _across(np.add, tallies)
    share = np.where(total > 0, support / np.maximum(total, TINY), 1 / votes.n_labels)
    result: Floats = (share * n_answers + SHARE_PRIOR / votes.n_labels) / (n_answers + SHARE_PRIOR)
    return result


def subtypes(votes: Votes, rounds: int = SUBTYPE_ROUNDS) -> Floats:
    """Return the posterior of a model with three kinds of items in each class, by variational rounds.

    The start is the vote; kinds begin as easy, middling and hard items, by the share of the winning side.
    """
    n_labels, n_states = votes.n_labels, votes.n_labels * SUBTYPES
    cell = votes.person.astype(np.int64) * n_labels + votes.label
    matrix = csr_array(
        (np.ones(len(cell)), cell.astype(np.int32), votes.starts.astype(np.int32)),
        shape=(votes.n_tasks, votes.n_people * n_labels),
    )
    by_cell = matrix.T.tocsr()
    tallies = counts(votes)
    share = (tallies + 1 / n_labels) / (_across(np.add, tallies) + 1)
    rank = np.argsort(np.argsort(share.max(axis=1), kind="stable"), kind="stable") / max(votes.n_tasks - 1, 1)
    nearness = 1 - np.abs(rank[:, None] - np.linspace(0, 1, SUBTYPES))
    kind = np.square(nearness) / np.square(nearness).sum(axis=1, keepdims=True)
    z = (share[:, :, None] * kind[:, None, :]).reshape(votes.n_tasks, n_states)
    truth = np.repeat(np.arange(n_labels), SUBTYPES)
    # A volunteer's prior row: right as often as four in five plus, wrong ways evenly.
    prior = np.where(truth[:, None] == np.arange(n_labels), 4.0, 1.0)
    for _ in range(rounds):
        seen = (by_cell @ z).reshape(votes.n_people, n_labels, n_states).transpose(0, 2, 1)
        rows = seen + prior
        log_rows = digamma(rows) - digamma(rows.sum(axis=2, keepdims=True))
        sizes = z.sum(axis=0).reshape(n_labels, SUBTYPES)
        in_class = sizes + 0.1
        log_kind = digamma(in_class) - digamma(in_class.sum(axis=1, keepdims=True))
        classes = sizes.sum(axis=1) + 1
        log_class = digamma(classes) - digamma(classes.sum())
        evidence = matrix @ np.ascontiguousarray(log_rows.transpose(0, 2, 1).reshape(-1, n_states))
        new = _softmax(evidence + (log_class[:, None] + log_kind).reshape(-1))
        moved = np.abs(new - z).max(initial=0)
        z = new
        if moved < 1e-3:
            break
    result: Floats = z.reshape(votes.n_tasks, n_labels, SUBTYPES).sum(axis=2)
    return result


@dataclass(frozen=True, slots=True)
class Fit:
    """What the answers of a whole project add up to.

    posterior[task, label]: rows sum to 1. confusion: the tables, for skills and stopping.
    parts: weights of confusion tables and vote in the log odds. n_gold: gold tasks they were fitted on, 0 if
    none: then the posterior is the model's agreement with itself, not a measured probability.
    """

    posterior: Floats
    confusion: Confusion
    parts: tuple[float, float]
    n_gold: int


def fit(
    votes: Votes,
    gold: Ints | None = None,
    method: Literal["model", "committee"] = "model",
    has_vote_part: bool = True,
) -> Fit:
    """Fit the model, or the committee, to all answers of a project.

    gold: label of each task whose truth is known, -1 elsewhere: held fast while volunteers' tables are learnt
    and, where there are GOLD_MIN or more, used to scale the log odds so that 80 % means 80 %.
    has_vote_part: without it the confusion tables decide alone (tags: there the vote errs one way).
    """
    tables = confusion(votes, gold)
    vote = weighted_vote(votes)
    start = (CONFUSION_PART, VOTE_PART) if has_vote_part else (1.0, 0.0)
    known = np.zeros(votes.n_tasks, bool) if gold is None else gold >= 0
    known &= counts(votes).sum(axis=1) > 0
    n_gold = int(known.sum())
    if gold is not None and n_gold >= GOLD_MIN:
        # Scaled on a fit that has not seen the gold: what it has learnt by heart proves nothing.
        unseen = confusion(votes).posterior
        parts = _scaled(unseen[known], vote[known], gold[known], start)
    else:
        parts, n_gold = start, 0
    posterior = _pool(tables.posterior, vote, parts)
    if method == "committee":
        posterior = (tables.posterior + vote + subtypes(votes)) / 3
    return Fit(_without_lone_winners(posterior, counts(votes)), tables, parts, n_gold)


def _without_lone_winners(posterior: Floats, tallies: Floats) -> Floats:
    """No label that one person alone has named wins against two who agree, however good the one is."""
    is_lone = (tallies <= 1) & (_across(np.maximum, tallies) >= 2)
    best_of_others = _across(np.maximum, np.where(is_lone, 0.0, posterior))
    wins = is_lone & (posterior >= best_of_others)
    if not wins.any():
        return posterior
    capped = np.where(wins, JUST_BELOW * best_of_others, posterior)
    result: Floats = capped / _across(np.add, capped)
    return result


def _pool(tables: Floats, vote: Floats, parts: tuple[float, float]) -> Floats:
    return _softmax(parts[0] * np.log(tables + TINY) + parts[1] * np.log(vote))


def _scaled(tables: Floats, vote: Floats, gold: Ints, start: tuple[float, float]) -> tuple[float, float]:
    """Fit the two parts to gold by likelihood, each with a lognormal prior around where it starts."""
    row = np.arange(len(gold))
    log_tables, log_vote = np.log(tables + TINY), np.log(vote)
    free = np.array([part > 0 for part in start])
    base = np.array(start)

    def loss(steps: Floats) -> float:
        parts = base.copy()
        parts[free] *= np.exp(steps)
        p = _softmax(parts[0] * log_tables + parts[1] * log_vote)[row, gold]
        return float(-np.log(p + 1e-12).sum() + 0.5 * np.square(steps).sum())

    best = minimize(loss, np.zeros(int(free.sum())), method="BFGS").x
    base[free] *= np.exp(best)
    return round(float(base[0]), 6), round(float(base[1]), 6)


@dataclass(frozen=True, slots=True)
class Skills:
    """What is known of each volunteer. skill: chance to be right, 0..1, shrunk to the crowd's.

    n_answers: their answers. is_lost: after 20 answers no better than chance plus a tenth.
    """

    skill: Floats
    n_answers: Ints
    is_lost: NDArray[np.bool_]


LOST_AFTER = 20
LOST_MARGIN = 0.1


def skills(votes: Votes, tables: Confusion) -> Skills:
    """Read each volunteer's skill from the tables: the mean diagonal over the classes as they occur."""
    diagonal = np.exp(np.diagonal(tables.log_table, axis1=1, axis2=2))
    skill: Floats = diagonal @ np.exp(tables.log_prior)
    n_answers = np.bincount(votes.person, minlength=votes.n_people)
    chance = 1 / votes.n_labels
    is_lost = (n_answers >= LOST_AFTER) & (diagonal.mean(axis=1) < chance + LOST_MARGIN)
    return Skills(skill, n_answers, is_lost)


def _softmax(scores: Floats) -> Floats:
    z = np.exp(scores - _across(np.maximum, scores))
    z /= _across(np.add, z)
    result: Floats = z
    return result


def _across(fold: np.ufunc, table: Floats) -> Floats:
    """Fold each row into one number, (n, 1). Column by column: numpy is slow on many short rows."""
    if table.shape[1] > 32:
        return fold.reduce(table, axis=1, keepdims=True)  # type: ignore[no-any-return]
    result = table[:, 0].copy()
    for column in table.T[1:]:
        fold(result, column, out=result)
    return result[:, None]


#: A choice with fewer votes than this shares one table a volunteer with the other rare ones.
RARE = 50


def fit_each(
    task: Ints,
    person: Ints,
    chosen: Sequence[Ints],
    n_tasks: int,
    n_people: int,
    gold: Sequence[Ints] | None = None,
    method: Literal["model", "committee"] = "model",
) -> list[Floats]:
    """Fit one two-class model for each of several choices (tags): who saw it and did not choose it says no.

    task, person: one row an answer. chosen: for each choice, the rows that chose it. gold: for each choice
    1, 0 or -1 (unknown) by task. Returns the probability of each choice for each task, 0..1.
    Choices with fewer than RARE votes are fitted together, as tasks of their own in one model.
    """
    n_rows = len(task)
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
        posterior = fit(votes, known, method, has_vote_part=False).posterior[:, 1]
        for place, number in enumerate(group):
            probability[number] = posterior[place * n_tasks : (place + 1) * n_tasks]
    return probability
