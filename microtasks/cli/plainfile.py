"""Answers in a plain CSV file, as tasks that can be reduced: what `microtasks consensus` reads."""

from __future__ import annotations

import csv
import math
from array import array
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import chain
from typing import TYPE_CHECKING, Any, TextIO, cast

from microtasks.cli import Failure

if TYPE_CHECKING:
    from microtasks.core.tasktype import Answer, Consensus, TaskType

#: Characters of a header that a sentence repeats.
MAX_SHOWN = 300
#: The answers export calls a worker so; either name is read.
WORKER = ("worker", "contributor")


class Rows:
    """The rows of a CSV file by column name; cells are parted by commas, semicolons or tabs.

    Errors: Failure, naming file and line.
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
            raise Failure(f"{name} begins with an empty line: the first line must name the columns.")

    def column(self, *names: str, required: bool = True) -> int | None:
        """The place of the first of these columns that is there."""
        for name in names:
            if name in self.header:
                return self.header.index(name)
        if required:
            there = ", ".join(self.header)
            more = " With --config it may have a column a field of the question." if "label" in names else ""
            raise Failure(
                f"{self.name} has no column {' or '.join(names)}; it has {there[:MAX_SHOWN]}.{more}"
            )
        return None

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

    def _not_text(self) -> Failure:
        return Failure(f"{self.name} is not in UTF-8. Please save it as CSV UTF-8 and try again.")

    def fail(self, what: str) -> Failure:
        return Failure(f"{self.name}, line {self.reader.line_num}: {what}")


class _Names:
    """Strings as numbers in the order met."""

    def __init__(self) -> None:
        self.number: dict[str, int] = {}

    def __call__(self, name: str) -> int:
        return self.number.setdefault(name, len(self.number))

    def sorted(self) -> list[str]:
        """The names in order: as numbers if all are, else as text."""
        return sorted(self.number, key=_order(self.number))


def _order(names: Iterable[str]) -> Any:
    is_numeric = all(name.isascii() and name.isdigit() and len(name) <= 18 for name in names)
    return (lambda name: (int(name), name)) if is_numeric else (lambda name: name)


class Plain:
    """Answers of a file as tasks in a fixed order, to be gone through as often as needed.

    Kept as numbers, one value a distinct answer: a file of ten million rows fits. A worker who answers a task
    twice counts once if both say the same, and as "can't tell" if not: no order of the rows decides.
    """

    config: Any

    def __init__(self, task_type: TaskType[Any, Any, Any], rows: Rows) -> None:
        self.type = task_type
        self.rows = rows
        self.tasks, self.workers = _Names(), _Names()
        self.task, self.worker, self.said = array("i"), array("i"), array("i")
        self.values: list[Mapping[str, Any] | None] = [None]  # 0: can't tell
        self.n_contradictions = 0
        self.n_read = 0

    def add(self, task: str, worker: str, said: int) -> None:
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
        said = np.array(self.said, np.int32)
        order = np.lexsort((said, worker, task))
        self.task = array("i", task[order].tobytes())
        self.worker = array("i", worker[order].tobytes())
        self.said = array("i", said[order].tobytes())

    def __iter__(self) -> Iterator[tuple[int, Sequence[Answer]]]:
        from microtasks.core.tasktype import Answer

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
        raise Failure(f"Gold cannot be given for {self.type.label.lower()} in a plain file.")

    def header(self, method: str) -> list[str]:
        return ["task", *(column.name for column in self.type.columns(self.config))]

    def rows_of(self, task: int, result: Consensus, method: str) -> Iterable[Sequence[Any]]:
        for row in self.type.rows(result, self.config):
            yield self.names[task], *row


class QuestionFile(Plain):
    """One field in the column `label` or `text`; or a column a field of the config."""

    def __init__(self, task_type: TaskType[Any, Any, Any], settings: Any, rows: Rows) -> None:
        super().__init__(task_type, rows)
        self.single = next((name for name in ("label", "text") if name in rows.header), None)
        self.config = task_type.parse_config(settings) if settings is not None else None
        if self.config is None and self.single is None:
            rows.column("label", "text")
        if self.config is not None and self.single is not None and len(self.config.fields) > 1:
            raise Failure(f"The config has several fields: {rows.name} needs a column for each.")
        self._read()
        self.sort()

    def _read(self) -> None:
        rows = self.rows
        task, worker = rows.column("task"), rows.column(*WORKER)
        kind, status = rows.column("kind", required=False), rows.column("status", required=False)
        names = [self.single] if self.single else [field.id for field in self.config.fields]
        places = [cast(int, rows.column(cast(str, name))) for name in names]
        known: dict[tuple[str, ...], int] = {}
        for row in rows:
            if status is not None and row[status] != "counted":
                continue
            if kind is not None and row[kind] == "cant_tell":
                self.add(row[cast(int, task)], row[cast(int, worker)], 0)
                continue
            given = tuple(row[place] for place in places)
            if not any(given):  # nothing said
                self.add(row[cast(int, task)], row[cast(int, worker)], 0)
                continue
            said = known.get(given)
            if said is None:
                said = known[given] = len(self.values)
                self.values.append(self._value(given))
            self.add(row[cast(int, task)], row[cast(int, worker)], said)
        if self.config is None:
            self.config = self._found_config(sorted(value["answer"] for value in self.values if value))
        self.field = self.config.fields[0].id if self.single else None

    def _value(self, given: tuple[str, ...]) -> Mapping[str, Any]:
        if self.config is None:
            return {"answer": given[0]}
        columns = [self.config.fields[0].id] if self.single else [field.id for field in self.config.fields]
        form = {
            name: cell.split("|") if field.kind == "choices" else [cell]
            for name, field, cell in zip(columns, self.config.fields, given, strict=True)
        }
        from microtasks.core.errors import AnswerInvalid

        try:
            return self.type.parse_value(
                self.type.from_form(form, self.config), self.type.Payload(), self.config
            )
        except AnswerInvalid as error:
            raise self.rows.fail(error.message) from None

    def _found_config(self, labels: Sequence[str]) -> Any:
        """A config of one field, whose choices are the labels found in the file."""
        from microtasks.tasktypes.question import Choice, QuestionConfig, QuestionField

        # Built without checks: a label may be any text here.
        choices = (
            tuple(Choice.model_construct(id=label) for label in labels) if self.single == "label" else ()
        )
        kind = "choice" if self.single == "label" else "text"
        field = QuestionField.model_construct(id="answer", kind=kind, choices=choices)
        return QuestionConfig.model_construct(fields=(field,))

    def read_gold(self, rows: Rows) -> dict[int, dict[str, Any]]:
        task = cast(int, rows.column("task"))
        label = cast(int, rows.column("label", *([self.field] if self.field else [])))
        place = {name: number for number, name in enumerate(self.names)}
        field = self.config.fields[0]
        right: dict[int, dict[str, Any]] = {}
        for row in rows:
            if field.kind == "choice" and row[label] not in field.choice_ids:
                continue  # a truth that nobody named: nothing to learn from
            if row[task] in place:
                right[place[row[task]]] = {field.id: row[label]}
        return right

    def header(self, method: str) -> list[str]:
        if self.single == "label":
            beside = [] if method == "majority" else ["vote", "model", "differs"]
            return ["task", "label", "agreement", "confidence", "n_answers", "tied", *beside]
        if self.single == "text":
            return ["task", "text", "agreement", "n_answers", "confidence", "basis", "tied"]
        return super().header(method)

    def rows_of(self, task: int, result: Consensus, method: str) -> Iterable[Sequence[Any]]:
        if self.single is None:
            yield from super().rows_of(task, result, method)
            return
        detail = result.detail["fields"][cast(str, self.field)]
        tied = "|".join(str(value) for value in detail["tied"])
        name, value = self.names[task], detail["value"]
        if self.single == "text":
            yield (
                *(name, value, detail["agreement"], result.n_answers),
                *(detail["confidence"], detail.get("basis"), tied),
            )
            return
        beside = (
            () if method == "majority" else (detail.get("vote"), detail.get("model"), detail.get("differs"))
        )
        yield name, value, detail["agreement"], detail["confidence"], result.n_answers, tied, *beside


def _number(rows: Rows, cell: str) -> float:
    try:
        number = float(cell)
    except ValueError:
        number = math.nan
    if not math.isfinite(number):
        raise rows.fail(f"{cell!r} is not a number.")
    return number


class TaggingFile(Plain):
    """Tags joined by | in the column `tags`."""

    def __init__(self, task_type: TaskType[Any, Any, Any], settings: Any, rows: Rows) -> None:
        super().__init__(task_type, rows)
        task, worker = cast(int, rows.column("task")), cast(int, rows.column(*WORKER))
        tags = cast(int, rows.column("tags"))
        kind, status = rows.column("kind", required=False), rows.column("status", required=False)
        known: dict[frozenset[str], int] = {}
        for row in rows:
            if status is not None and row[status] != "counted":
                continue
            if kind is not None and row[kind] == "cant_tell":
                self.add(row[task], row[worker], 0)
                continue
            given = frozenset(tag.strip() for tag in row[tags].split("|") if tag.strip())
            if given not in known:
                known[given] = len(self.values)
                self.values.append({"tags": sorted(given)})
            self.add(row[task], row[worker], known[given])
        if settings is None:
            found = sorted({tag for value in self.values if value for tag in value["tags"]})
            settings = {"tags": [{"id": tag} for tag in found], "allow_own_tags": True}
        self.config = task_type.parse_config(settings)
        self.sort()


class MarkingFile(Plain):
    """A row a mark; who saw an image and marked nothing is in the views, or has a row with empty x and y."""

    def __init__(
        self,
        task_type: TaskType[Any, Any, Any],
        settings: Any,
        rows: Rows,
        views: Rows | None,
        possible: bool,
    ) -> None:
        super().__init__(task_type, rows)
        self.possible = possible
        self.marks: dict[tuple[str, str], list[dict[str, Any]]] = {}
        measures = self._read()
        shape = "box" if "width" in measures else "circle" if "r" in measures else "point"
        found = {"shape": shape, "classes": [{"id": name} for name in self.classes]}
        self.config = task_type.parse_config(found if settings is None else settings)
        for view in self._views(views):
            self.marks.setdefault(view, [])
        # Each pair of task and worker has its own value: they are kept as they are, in order.
        by_task, by_worker = (_order({pair[k] for pair in self.marks}) for k in (0, 1))
        for pair in sorted(self.marks, key=lambda pair: (by_task(pair[0]), by_worker(pair[1]))):
            self.values.append({"marks": self.marks[pair]})
            self.add(*pair, len(self.values) - 1)
        del self.marks
        self.sort()

    def _read(self) -> set[str]:
        """Gather the marks; return the measures they have."""
        rows = self.rows
        task, worker = cast(int, rows.column("task")), cast(int, rows.column(*WORKER))
        x, y = cast(int, rows.column("x")), cast(int, rows.column("y"))
        kind = rows.column("class", required=False)
        places = {name: rows.column(name, required=False) for name in ("r", "width", "height")}
        used: set[str] = set()
        given: set[tuple[str, ...]] = set()
        classes: set[str] = set()
        status = rows.column("status", required=False)
        for row in rows:
            if status is not None and row[status] != "counted":
                continue
            marks = self.marks.setdefault((row[task], row[worker]), [])
            cells = (
                row[task],
                row[worker],
                row[x],
                row[y],
                *(row[p] for p in places.values() if p is not None),
            )
            if (not row[x] and not row[y]) or cells in given:  # the same row twice says nothing new
                continue
            given.add(cells)
            mark: dict[str, Any] = {"x": _number(rows, row[x]), "y": _number(rows, row[y])}
            for name, place in places.items():
                if place is not None and row[place]:
                    mark[name] = _number(rows, row[place])
                    if mark[name] <= 0:
                        raise rows.fail(f"{name} must be greater than 0.")
                    used.add(name)
            if kind is not None and row[kind]:
                mark["class"] = row[kind]
                classes.add(row[kind])
            marks.append(mark)
        self.classes = sorted(classes)
        if "r" in used and len(used) > 1:
            raise Failure(f"{rows.name} has circles (r) and boxes (width, height): please give one of them.")
        return used

    def _views(self, rows: Rows | None) -> Iterator[tuple[str, str]]:
        if rows is None:
            return
        task, worker = cast(int, rows.column("task")), cast(int, rows.column(*WORKER))
        kind, status = rows.column("kind", required=False), rows.column("status", required=False)
        for row in rows:
            if kind is not None and row[kind] == "cant_tell":
                continue  # no viewer
            if status is None or row[status] == "counted":
                yield row[task], row[worker]

    def read_gold(self, rows: Rows) -> dict[int, dict[str, Any]]:
        """The right marks: a row a mark, in the columns of the answers."""
        task, x, y = (cast(int, rows.column(name)) for name in ("task", "x", "y"))
        places = {name: cast(int, rows.column(name)) for name in self.config.measures}
        place = {name: number for number, name in enumerate(self.names)}
        right: dict[int, dict[str, Any]] = {}
        for row in rows:
            if row[task] in place and row[x]:
                mark = {"x": _number(rows, row[x]), "y": _number(rows, row[y])}
                mark |= {name: _number(rows, row[at]) for name, at in places.items()}
                if any(mark[name] <= 0 for name in places):
                    raise rows.fail(f"{', '.join(places)} must be greater than 0.")
                right.setdefault(place[row[task]], {"marks": []})["marks"].append(mark)
        return right

    def header(self, method: str) -> list[str]:
        measures = self.config.measures or ("r",)
        counts = ["probability", "n_marked", "n_saw", "x_sd", "y_sd"]
        extra = ["class", "class_share", "region_95", "status"]
        return ["task", "x", "y", *measures, *counts, *(f"{name}_sd" for name in measures), *extra]

    def rows_of(self, task: int, result: Consensus, method: str) -> Iterable[Sequence[Any]]:
        measures = self.config.measures or ("r",)
        for status in ("accepted", "possible") if self.possible else ("accepted",):
            for mark in result.detail["marks" if status == "accepted" else "possible"]:
                yield (
                    *(self.names[task], mark["x"], mark["y"], *(mark.get(name) for name in measures)),
                    *(mark[name] for name in ("probability", "n_marked", "n_saw", "x_sd", "y_sd")),
                    *(mark.get(f"{name}_sd") for name in measures),
                    *(mark["class"], mark["class_share"], mark["region_95"], status),
                )
