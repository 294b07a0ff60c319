"""Each volunteer's table: what they say when it is this or that. Hierarchical Dawid and Skene.

Each volunteer has a table "what they say when it is k"; its prior is the whole crowd's table, so a newcomer
counts as the average volunteer. (Dawid and Skene 1979, doi:10.2307/2346806; Kim and Ghahramani 2012 for the
hierarchy.) Few rounds on purpose: run to convergence, errors that many make together pull the classes away
from what they mean.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from microtasks.core.consensus.votes import (
    Floats,
    Incidence,
    Ints,
    Votes,
    across,
    counts,
    softmax,
)

ROUNDS = 5
#: A volunteer's table counts the crowd's as this many answers a row.
CROWD_WEIGHT = 4.0
#: Answers to one task are not independent: used when deciding whether to stop. See retirement.
CORRELATION = 0.03

LOST_AFTER = 20
LOST_MARGIN = 0.1


@dataclass(frozen=True, slots=True)
class Confusion:
    """A fitted confusion model.

    log_table[person, truth, label] (empty unless it was asked for), log_crowd[truth, label]: log P(label |
    truth). log_prior[truth]: log share of the classes. posterior[task, truth]: from the answers alone, gold
    not put in.
    """

    log_table: Floats
    log_crowd: Floats
    log_prior: Floats
    posterior: Floats


def confusion(
    votes: Votes,
    gold: Ints | None = None,
    rounds: int = ROUNDS,
    rho: float = 0.0,
    has_tables: bool = True,
) -> Confusion:
    """Fit the hierarchical Dawid and Skene model.

    gold: label of each task whose truth is known, -1 elsewhere; it is held fast while the tables are learnt.
    rho: in the last round n answers count as n / (1 + rho (n - 1)). has_tables: keep every volunteer's table:
    n_people * n_labels * n_labels numbers.
    """
    n_labels = votes.n_labels
    incidence = Incidence(votes)
    tallies = counts(votes)
    n_answers = across(np.add, tallies)
    posterior = np.where(n_answers > 0, tallies / np.maximum(n_answers, 1), 1 / n_labels)
    known = np.zeros(votes.n_tasks, bool) if gold is None else gold >= 0
    identity = np.eye(n_labels)
    log_tables: list[Floats] = []
    log_crowd, log_prior = np.zeros((n_labels, n_labels)), np.zeros(n_labels)
    for round_number in range(rounds):
        is_last = round_number == rounds - 1
        z = posterior
        if gold is not None:
            z = np.where(known[:, None], identity[np.where(known, gold, 0)], posterior)
        blocks = list(incidence.blocks(n_labels))
        whole = incidence.seen(z, blocks[0]) if len(blocks) == 1 else None
        total = (
            whole.sum(axis=0)
            if whole is not None
            else sum(incidence.seen(z, people).sum(axis=0) for people in blocks)
        )
        crowd = total + 2 * (2 * identity + 1) / (n_labels + 2)
        crowd /= crowd.sum(axis=1, keepdims=True)
        log_crowd = np.log(crowd)
        class_size = z.sum(axis=0) + 0.1 * votes.n_tasks / n_labels + 1
        log_prior = np.log(class_size / class_size.sum())
        evidence = np.zeros_like(z)
        for people in blocks:
            seen = incidence.seen(z, people) if whole is None else whole
            table = seen + CROWD_WEIGHT * crowd + 0.01
            log_table = np.log(table)
            log_table -= np.log(table.sum(axis=2, keepdims=True))
            evidence += incidence.evidence(log_table, people)
            if is_last and has_tables:
                log_tables.append(log_table)
        if rho and is_last:
            evidence /= 1 + rho * np.maximum(n_answers - 1, 0)
        posterior = softmax(evidence + log_prior)
    tables = np.concatenate(log_tables) if log_tables else np.empty((0, n_labels, n_labels))
    return Confusion(tables, log_crowd, log_prior, posterior)


@dataclass(frozen=True, slots=True)
class Skills:
    """What is known of each volunteer. skill: chance to be right, 0..1, shrunk to the crowd's.

    n_answers: their answers. is_lost: after 20 answers no better than chance plus a tenth.
    """

    skill: Floats
    n_answers: Ints
    is_lost: NDArray[np.bool_]


def skills(votes: Votes, tables: Confusion) -> Skills:
    """Read each volunteer's skill from the tables: the mean diagonal over the classes as they occur."""
    diagonal = np.exp(np.diagonal(tables.log_table, axis1=1, axis2=2))
    skill: Floats = diagonal @ np.exp(tables.log_prior)
    n_answers = np.bincount(votes.person, minlength=votes.n_people)
    chance = 1 / votes.n_labels
    is_lost = (n_answers >= LOST_AFTER) & (diagonal.mean(axis=1) < chance + LOST_MARGIN)
    return Skills(skill, n_answers, is_lost)
