"""All answers of a project as numbers: what a pass over ten million of them works on.

One row an answer, sorted by task and person; what was said is a number too, since most answers were given
before. Tasks to which the same was said are one *pattern*: what plain votes make of them is made once.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from microtasks.core.values import Answer

Ints = NDArray[Any]

#: Tasks that are looked at together where it goes one by one.
CHUNK = 4096


@dataclass(frozen=True, slots=True)
class Columns:
    """Answers as columns, sorted by task and person.

    task_ids: one a task, in the order of `task`. task, person, said: one row an answer, from 0. person:
    rank of the contributor's name among `people`, as text. said: row of `spoken`.
    """

    task_ids: Ints
    task: Ints
    person: Ints
    said: Ints
    spoken: Sequence[Answer]
    people: Sequence[str]

    @property
    def n_tasks(self) -> int:
        """Tasks, also those without an answer."""
        return len(self.task_ids)

    @property
    def starts(self) -> Ints:
        """First row of each task, and the end: n_tasks + 1 numbers."""
        starts: Ints = np.r_[0, np.cumsum(np.bincount(self.task, minlength=self.n_tasks))]
        return starts

    def places(self, tasks: Iterable[int]) -> dict[int, int]:
        """The number of each of these tasks that is here."""
        if not self.n_tasks:
            return {}
        wanted = np.array(sorted(tasks), np.int64)
        order = np.argsort(self.task_ids, kind="stable")
        at = np.searchsorted(self.task_ids, wanted, sorter=order)
        at = order[np.minimum(at, self.n_tasks - 1)]
        is_here = self.task_ids[at] == wanted
        return dict(zip(wanted[is_here].tolist(), at[is_here].tolist(), strict=True))

    def patterns(self) -> Iterator[tuple[int, bytes, Ints]]:
        """For each task its number, and what was said to it: as a key, and as rows of `spoken`, sorted."""
        values = self.said[np.lexsort((self.said, self.task))] if len(self.said) else self.said
        starts = self.starts.tolist()
        for number in range(self.n_tasks):
            own = values[starts[number] : starts[number + 1]]
            yield number, own.tobytes(), own

    def given(self, own: Ints) -> list[Answer]:
        """The answers of a pattern; who gave them is not told."""
        return [self.spoken[row] for row in own.tolist()]


def read(tasks: Iterable[tuple[int, Sequence[Answer]]]) -> Columns:
    """Turn tasks and their answers into columns. Goes through them once."""
    numbers: dict[str, int] = {}
    spoken: list[Answer] = []
    value_numbers: dict[Any, int] = {}
    ids: list[int] = []
    task, person, said = [], [], []
    for number, (task_id, answers) in enumerate(tasks):
        ids.append(task_id)
        for answer in answers:
            key = (answer.kind, _key(answer.value))
            if key not in value_numbers:
                value_numbers[key] = len(spoken)
                spoken.append(Answer("", answer.kind, answer.value))
            task.append(number)
            person.append(numbers.setdefault(answer.contributor, len(numbers)))
            said.append(value_numbers[key])
    names = sorted(numbers)
    rank = np.empty(len(names), np.int32)
    for place, name in enumerate(names):
        rank[numbers[name]] = place
    return columns(
        np.array(ids, np.int64),
        np.array(task, np.int32),
        rank[np.array(person, np.int32)] if person else np.zeros(0, np.int32),
        np.array(said, np.int32),
        spoken,
        names,
    )


def columns(
    task_ids: Ints, task: Ints, person: Ints, said: Ints, spoken: Sequence[Answer], people: Sequence[str]
) -> Columns:
    """Return the rows sorted by task and person."""
    key = task.astype(np.int64) * max(len(people), 1) + person
    if np.all(key[1:] >= key[:-1]):
        return Columns(task_ids, task, person, said, spoken, people)
    order = np.argsort(key, kind="stable")
    return Columns(task_ids, task[order], person[order], said[order], spoken, people)


def _key(value: Any) -> Any:
    """Something to look a JSON value up by."""
    if isinstance(value, dict):
        return tuple((name, _key(part)) for name, part in sorted(value.items()))
    if isinstance(value, list | tuple):
        return ("", *map(_key, value))
    return (type(value), value) if isinstance(value, bool) else value
