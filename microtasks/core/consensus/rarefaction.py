"""How many answers would have been enough: the vote of fewer answers beside that of all of them.

Rarefaction, as ecologists do it with species: draw fewer answers of each task at random, again and again, and
see how often the result is that of all. It says nothing of whether that result is right.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

DRAWS = 10
#: A curve has so many points at most, and needs so many tasks.
MOST_POINTS, TASKS_MIN = 12, 10
#: Of more tasks every n-th takes part.
MOST_TASKS = 20_000
_Z = 1.959964


class Point(NamedTuple):
    """With n answers a task: share of tasks whose result is that of all, and its 95 % interval, 0..1."""

    n: int
    same: float
    low: float
    high: float


class Curve(NamedTuple):
    """points: from one answer to all that these tasks have. n_tasks: tasks with so many answers."""

    points: tuple[Point, ...]
    n_tasks: int


def curve(
    task: NDArray[Any], label: NDArray[Any], n_tasks: int, n_labels: int, rng: np.random.Generator
) -> Curve | None:
    """Draw 1, 2, ... of the answers to each task; None where fewer than TASKS_MIN tasks have two or more.

    task, label: of each answer, numbers from 0. Only tasks with as many answers as the median task take part;
    the interval is over tasks. A tie counts as a part.
    """
    every = -(-n_tasks // MOST_TASKS)
    if every > 1:
        rows = task % every == 0
        task, label, n_tasks = task[rows] // every, label[rows], -(-n_tasks // every)
    n_each = np.bincount(task, minlength=n_tasks)
    if (n_each >= 2).sum() < TASKS_MIN:
        return None
    n_all = int(np.median(n_each[n_each >= 2]))
    takes_part = n_each >= n_all
    rows = takes_part[task]
    number = np.cumsum(takes_part) - 1
    task, label, n_tasks = number[task[rows]], label[rows], int(takes_part.sum())
    n_each = n_each[takes_part]
    starts = np.cumsum(n_each) - n_each
    steps = sorted({*np.linspace(1, n_all, min(n_all, MOST_POINTS)).round().astype(int).tolist()})
    same = np.zeros((len(steps), n_tasks))
    for _ in range(DRAWS):
        order = rng.permutation(len(task))
        order = order[np.argsort(task[order], kind="stable")]
        drawn_task, drawn_label = task[order], label[order]
        place = np.arange(len(order)) - starts[drawn_task]
        full = _winners(drawn_task, drawn_label, place < n_all, n_tasks, n_labels)
        for step, n in enumerate(steps):
            few = _winners(drawn_task, drawn_label, place < n, n_tasks, n_labels)
            same[step] += (few * (full > 0)).sum(axis=1) / DRAWS
    points = []
    for n, each in zip(steps, same, strict=True):
        mean, half = float(each.mean()), _Z * float(each.std()) / n_tasks**0.5
        points.append(Point(n, round(mean, 4), round(max(mean - half, 0), 4), round(min(mean + half, 1), 4)))
    return Curve(tuple(points), n_tasks)


def _winners(
    task: NDArray[Any], label: NDArray[Any], rows: NDArray[np.bool_], n_tasks: int, n_labels: int
) -> NDArray[np.float64]:
    """Share of each label in the win, (n_tasks, n_labels): a tie is parted evenly."""
    cells = task[rows].astype(np.int64) * n_labels + label[rows]
    counts = np.bincount(cells, minlength=n_tasks * n_labels).reshape(n_tasks, n_labels)
    is_top = counts == counts.max(axis=1, keepdims=True)
    result: NDArray[np.float64] = is_top / is_top.sum(axis=1, keepdims=True)
    return result
