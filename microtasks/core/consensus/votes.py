"""Answers as columns of numbers: who said which label about which task, in one canonical order."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

Floats = NDArray[np.float64]
Ints = NDArray[Any]

#: Tables of so many numbers are in memory at once, however many volunteers and labels there are.
CELLS_AT_ONCE = 4_000_000


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
    return weighed(votes, None)


def weighed(votes: Votes, weight: Floats | None) -> Floats:
    """Return the sum of weights (one a row) of each task for each label, (n_tasks, n_labels)."""
    cells = votes.task.astype(np.int64) * votes.n_labels + votes.label
    n = votes.n_tasks * votes.n_labels
    return np.bincount(cells, weight, n).reshape(votes.n_tasks, votes.n_labels).astype(float)


def labels_in_use(votes: Votes) -> float:
    """Return how many labels people use, as if all were used equally: the exponential of their entropy."""
    return _in_use(np.bincount(votes.label, minlength=votes.n_labels).astype(float))


def winners_in_use(votes: Votes) -> float:
    """Return how many labels win the vote, as if all won equally often; ties count as a part."""
    tallies = counts(votes)
    is_top = (tallies >= across(np.maximum, tallies)) & (tallies > 0)
    return _in_use((is_top / np.maximum(across(np.add, is_top.astype(float)), 1)).sum(axis=0))


def _in_use(used: Floats) -> float:
    share = used[used > 0] / max(used.sum(), 1)
    return float(np.exp(-(share * np.log(share)).sum()))


def every(votes: Votes, step: int) -> Votes:
    """Return the answers to every `step`-th task, numbered anew; people and labels keep their numbers."""
    rows = votes.task % step == 0
    n_tasks = -(-votes.n_tasks // step)
    return Votes(
        votes.task[rows] // step,
        votes.person[rows],
        votes.label[rows],
        n_tasks,
        votes.n_people,
        votes.n_labels,
    )


class Incidence:
    """Which task has which label from which person, as sparse matrices.

    by_task: (n_tasks, n_people * n_labels); by_cell: the same turned round.
    """

    def __init__(self, votes: Votes) -> None:
        cell = votes.person.astype(np.int64) * votes.n_labels + votes.label
        self.n_people, self.n_labels = votes.n_people, votes.n_labels
        self.by_task = csr_array(
            (np.ones(len(cell)), cell.astype(np.int32), votes.starts.astype(np.int32)),
            shape=(votes.n_tasks, votes.n_people * votes.n_labels),
        )
        self.by_cell = self.by_task.T.tocsr()

    def blocks(self, n_states: int) -> Iterator[slice]:
        """People, so many at a time that their tables of `n_states` truths fit into memory."""
        step = max(1, CELLS_AT_ONCE // max(1, self.n_labels * n_states))
        for first in range(0, self.n_people, step):
            yield slice(first, min(first + step, self.n_people))

    def seen(self, z: Floats, people: slice) -> Floats:
        """Return how often each person said each label in each state, (people, n_states, n_labels).

        z[task, state]: how likely the task is in that state.
        """
        cells = self.by_cell[people.start * self.n_labels : people.stop * self.n_labels]
        if people.stop - people.start == self.n_people:
            cells = self.by_cell
        sums = (cells @ z).reshape(people.stop - people.start, self.n_labels, z.shape[1])
        result: Floats = sums.transpose(0, 2, 1)
        return result

    def evidence(self, log_table: Floats, people: slice) -> Floats:
        """Return the sum over a task's answers of log P(label | state), (n_tasks, n_states).

        log_table: (people, n_states, n_labels).
        """
        n_states = log_table.shape[1]
        by_cell = np.ascontiguousarray(log_table.transpose(0, 2, 1)).reshape(-1, n_states)
        if people.stop - people.start == self.n_people:
            return self.by_task @ by_cell  # type: ignore[no-any-return]
        cells = self.by_cell[people.start * self.n_labels : people.stop * self.n_labels]
        return cells.T @ by_cell  # type: ignore[no-any-return]


def softmax(scores: Floats) -> Floats:
    """Return the rows of probabilities whose logarithms these are, but for a constant."""
    z = np.exp(scores - across(np.maximum, scores))
    z /= across(np.add, z)
    result: Floats = z
    return result


def across(fold: np.ufunc, table: Floats) -> Floats:
    """Fold each row into one number, (n, 1). Column by column: numpy is slow on many short rows."""
    if table.shape[1] > 32:
        return fold.reduce(table, axis=1, keepdims=True)  # type: ignore[no-any-return]
    result = table[:, 0].copy()
    for column in table.T[1:]:
        fold(result, column, out=result)
    return result[:, None]
