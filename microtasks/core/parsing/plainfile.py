"""Answers in a plain CSV file, as tasks that can be reduced: what the task types' own readers share.

A type that `microtasks consensus` can read has a `plainfile.py` in its folder with `COLUMNS` (pairs of the
columns and what they hold, for the help) and `read(task_type, settings, rows, options) -> AnswerFile`.
"""

from __future__ import annotations

import math
import unicodedata
from array import array
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

from microtasks.core.errors import FileInvalid, JsonInvalid, RowInvalid
from microtasks.core.parsing import jsonstrict
from microtasks.core.parsing.formulas import unescape_formulas
from microtasks.core.parsing.rows.grid import Grid
from microtasks.core.parsing.rows.items import as_text
from microtasks.core.parsing.rows.items import number as number_of

if TYPE_CHECKING:
    from microtasks.core.tasktype import TaskType
    from microtasks.core.values import Answer, Consensus

#: Characters of a header that a sentence repeats.
MAX_SHOWN = 300
#: The answers export calls a worker so; either name is read.
WORKER = ("worker", "contributor")


class Rows:
    """The rows of a table by column name, read as uploads are: encoding, separator, quoting are found.

    Cells come without blanks at their ends, in Unicode's composed form, and without the apostrophe that our
    exports put before what looks like a formula. JSON and JSON Lines are read as one column a key. Errors:
    FileInvalid, naming file and line.
    """

    def __init__(self, table: Grid, name: str) -> None:
        self.name = name
        self.notices = [f"{name}: {notice}" for notice in table.notices]
        self._line = 0
        self._needed: dict[int, str] = {}
        grid = table if table.names is not None else _of_objects(table, name)
        self.header = list(grid.names or ())
        if not any(self.header):
            raise FileInvalid(f"{name} begins with an empty line: the first line must name the columns.")
        twice = next((column for column, n in Counter(self.header).items() if n > 1 and column), None)
        if twice is not None:
            raise FileInvalid(f"{name}: two columns are called “{twice}”.")
        self._grid = grid

    def find(self, *names: str) -> int | None:
        """The place of the first of these columns that is there."""
        return next((self.header.index(name) for name in names if name in self.header), None)

    def column(self, *names: str, advice: str = "") -> int:
        """The place of the first of these columns that is there; FileInvalid, with `advice`, if none is.

        A row without a task or without a worker is an error: blank cells would make one person of many.
        """
        place = self.find(*names)
        if place is None:
            there = ", ".join(self.header)[:MAX_SHOWN]
            raise FileInvalid(
                f"{self.name} has no column {' or '.join(names)}; it has {there}.{' ' * bool(advice)}{advice}"
            )
        if names == WORKER or names == ("task",):
            self._needed[place] = names[0]
        return place

    def __iter__(self) -> Iterator[list[str]]:
        width = len(self.header)
        for line, row in self._grid:
            self._line = line
            if isinstance(row, RowInvalid):
                raise self.fail(row.message)
            if not any(row):
                continue
            if len(row) > width and any(row[width:]):
                raise self.fail(f"this line has {len(row)} cells, but the table has {width} columns.")
            cells = [_plain(cell) for cell in row[:width]] + [""] * (width - len(row))
            for place, needed in self._needed.items():
                if not cells[place]:
                    raise self.fail(
                        f"this row names no {needed}. Give every {needed} a name or a number"
                        + (", also one that nobody knows." if needed == "worker" else ".")
                    )
            yield cells

    def fail(self, what: str) -> FileInvalid:
        """An error at the present line, to be raised."""
        return FileInvalid(f"{self.name}, line {self._line}: {what}")


def _plain(cell: str) -> str:
    cell = cell.strip()
    if not cell.isascii():
        cell = unicodedata.normalize("NFC", cell)
    return unescape_formulas(cell)


def _of_objects(table: Grid, name: str) -> Grid:
    """A grid of JSON objects: the keys of all are the columns."""
    rows: list[tuple[int, dict[str, Any]]] = []
    for line, record in table:
        if isinstance(record, str):
            if not record.strip():
                continue
            try:
                record = jsonstrict.loads(record)
            except JsonInvalid as error:
                raise FileInvalid(f"{name}, line {line}: {error.message}") from None
        if isinstance(record, RowInvalid) or not isinstance(record, dict):
            reason = record.message if isinstance(record, RowInvalid) else "this is no JSON object."
            raise FileInvalid(f"{name}, line {line}: {reason}")
        rows.append((line, record))
    names = list(dict.fromkeys(key for _, row in rows for key in row))
    return Grid(names, ((line, [as_text(row.get(key)) for key in names]) for line, row in rows))


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
        #: Rows of the gold file, and how many of them fitted a task and could be used.
        self.n_gold_rows = self.n_gold_fitted = 0

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
        value = number_of(cell)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise rows.fail(f"{cell!r} is not a number.")
    return value
