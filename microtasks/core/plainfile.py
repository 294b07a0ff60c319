"""Answers in a plain CSV file, as tasks that can be reduced: what the task types' own readers share.

A type that `microtasks consensus` can read has a `plainfile.py` in its folder with `COLUMNS` (pairs of the
columns and what they hold, for the help) and `read(task_type, settings, rows, options) -> AnswerFile`.
"""

from __future__ import annotations

import csv
import math
from array import array
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import TYPE_CHECKING, Any, TextIO, cast

from microtasks.core.errors import FileInvalid

if TYPE_CHECKING:
    from microtasks.core.tasktype import TaskType
    from microtasks.core.values import Answer, Consensus

#: Characters of a header that a sentence repeats.
MAX_SHOWN = 300
#: The answers export calls a worker so; either name is read.
WORKER = ("worker", "contributor")


class Rows:
    """The rows of a CSV file by column name; cells are parted by commas, semicolons or tabs.

    Errors: FileInvalid, naming file and line.
    """

    def __init__(self, file: TextIO, name: str) -> None:
        self.name = name
        self.reader = csv.reader(file)
        try:
            first = file.readline()
        except UnicodeDecodeError:
            raise self._not_text() from None
        separator = max(",;\t", key=first.count)  # a tie, as of none, goes to the comma
        self.reader = csv.reader(chain([first], file), delimiter=separator)
        self.header = [column.strip() for column in next(self._read(), [])]
        if not any(self.header):
            raise FileInvalid(f"{name} begins with an empty line: the first line must name the columns.")

    def find(self, *names: str) -> int | None:
        """The place of the first of these columns that is there."""
        return next((self.header.index(name) for name in names if name in self.header), None)

    def column(self, *names: str, advice: str = "") -> int:
        """The place of the first of these columns that is there; FileInvalid, with `advice`, if none is."""
        place = self.find(*names)
        if place is None:
            there = ", ".join(self.header)[:MAX_SHOWN]
            raise FileInvalid(
                f"{self.name} has no column {' or '.join(names)}; it has {there}.{' ' * bool(advice)}{advice}"
            )
        return place

    def __iter__(self) -> Iterator[list[str]]:
        width = len(self.header)
        for row in self._read():
            if row:
                yield row if len(row) >= width else row + [""] * (width - len(row))

    def _read(self) -> Iterator[list[str]]:
        try:
            yield from self.reader
        except UnicodeDecodeError:
            raise self._not_text() from None
        except csv.Error as error:
            raise self.fail(f"{error}.") from None

    def _not_text(self) -> FileInvalid:
        return FileInvalid(f"{self.name} is not in UTF-8. Please save it as CSV UTF-8 and try again.")

    def fail(self, what: str) -> FileInvalid:
        """An error at the present line, to be raised."""
        return FileInvalid(f"{self.name}, line {self.reader.line_num}: {what}")


@dataclass(frozen=True, slots=True)
class Options:
    """What else `microtasks consensus` was given. views: who saw what (task, worker), None where not given;
    possible: list also what only few saw.
    """

    views: Rows | None = None
    possible: bool = False


class Names:
    """Strings as numbers in the order met."""

    def __init__(self) -> None:
        self.number: dict[str, int] = {}

    def __call__(self, name: str) -> int:
        return self.number.setdefault(name, len(self.number))

    def sorted(self) -> list[str]:
        """The names in order: as numbers if all are, else as text."""
        return sorted(self.number, key=order(self.number))


def order(names: Iterable[str]) -> Any:
    """The sort key of these names: as numbers if all are, else as text."""
    is_numeric = all(name.isascii() and name.isdigit() and len(name) <= 18 for name in names)
    return (lambda name: (int(name), name)) if is_numeric else (lambda name: name)


class AnswerFile:
    """Answers of a file as tasks in a fixed order, to be gone through as often as needed.

    Kept as numbers, one value a distinct answer: a file of ten million rows fits. A worker who answers a task
    twice counts once if both say the same, and as "can't tell" if not: no order of the rows decides.
    """

    config: Any

    def __init__(self, task_type: TaskType[Any, Any, Any], rows: Rows) -> None:
        self.type = task_type
        self.rows = rows
        self.tasks, self.workers = Names(), Names()
        self.task, self.worker, self.said = array("i"), array("i"), array("i")
        self.values: list[Mapping[str, Any] | None] = [None]  # 0: can't tell
        self.n_contradictions = 0

    def add(self, task: str, worker: str, said: int) -> None:
        """One more answer; said: the number of its value in `values`, 0 for "can't tell"."""
        self.task.append(self.tasks(task))
        self.worker.append(self.workers(worker))
        self.said.append(said)

    def sort(self) -> None:
        """Bring the answers in order of task and worker; once all are read."""
        import numpy as np

        self.names = self.tasks.sorted()
        people = self.workers.sorted()
        task_rank, worker_rank = np.empty(len(self.names), np.int32), np.empty(len(people), np.int32)
        for place, name in enumerate(self.names):
            task_rank[self.tasks.number[name]] = place
        for place, name in enumerate(people):
            worker_rank[self.workers.number[name]] = place
        self.people = people
        task = task_rank[np.frombuffer(self.task, np.int32)] if self.task else np.empty(0, np.int32)
        worker = worker_rank[np.frombuffer(self.worker, np.int32)] if self.task else np.empty(0, np.int32)
        values = np.array(self.said, np.int32)
        order = np.lexsort((values, worker, task))
        self.task = array("i", task[order].tobytes())
        self.worker = array("i", worker[order].tobytes())
        self.said = array("i", values[order].tobytes())

    def __iter__(self) -> Iterator[tuple[int, Sequence[Answer]]]:
        from microtasks.core.values import Answer

        empty = [value is not None and self.type.is_empty(value) for value in self.values]
        kinds = [
            "cant_tell" if v is None else "empty" if e else "value"
            for v, e in zip(self.values, empty, strict=True)
        ]
        self.n_contradictions = 0
        n = len(self.task)
        row = 0
        for number in range(len(self.names)):
            answers: list[Answer] = []
            while row < n and self.task[row] == number:
                worker, said = self.worker[row], self.said[row]
                row += 1
                while row < n and self.task[row] == number and self.worker[row] == worker:
                    if self.said[row] != said and said:
                        said = 0
                        self.n_contradictions += 1
                    row += 1
                answers.append(Answer(self.people[worker], cast(Any, kinds[said]), self.values[said]))
            yield number, answers

    def read_gold(self, rows: Rows) -> dict[int, dict[str, Any]]:
        """The right values by number of the task; FileInvalid where this type takes none from a file."""
        raise FileInvalid(f"Gold cannot be given for {self.type.label.lower()} in a plain file.")

    def header(self, method: str) -> list[str]:
        """The columns of the result."""
        return ["task", *(column.name for column in self.type.columns(self.config))]

    def rows_of(self, task: int, result: Consensus, method: str) -> Iterable[Sequence[Any]]:
        """One task's consensus as rows for `header`."""
        for row in self.type.rows(result, self.config):
            yield self.names[task], *row


def number(rows: Rows, cell: str) -> float:
    """A cell as a finite number; FileInvalid with the line if it is none."""
    try:
        value = float(cell)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise rows.fail(f"{cell!r} is not a number.")
    return value
