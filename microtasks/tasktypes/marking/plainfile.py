"""Answers of marking in a plain CSV file."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from microtasks.core.errors import FileInvalid
from microtasks.core.parsing.plainfile import WORKER, AnswerFile, Options, Rows, number, order

if TYPE_CHECKING:
    from microtasks.core.tasktype import TaskType
    from microtasks.core.values import Consensus

COLUMNS = (
    ("task,worker,x,y,r", "marking: a row a mark; r empty for points"),
    ("", "(width,height for boxes)"),
)


def read(task_type: TaskType[Any, Any, Any], settings: Any, rows: Rows, options: Options) -> AnswerFile:
    """Read the answers; settings: the config as JSON, None to make one of what the file holds."""
    return MarkingFile(task_type, settings, rows, options.views, options.possible)


class MarkingFile(AnswerFile):
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
        config = {"shape": shape, "classes": [{"id": name} for name in self.classes]}
        self.config = task_type.parse_config(config if settings is None else settings)
        for view in self._views(views):
            self.marks.setdefault(view, [])
        # Each pair of task and worker has its own value: they are kept as they are, in order.
        by_task, by_worker = (order({pair[k] for pair in self.marks}) for k in (0, 1))
        for pair in sorted(self.marks, key=lambda pair: (by_task(pair[0]), by_worker(pair[1]))):
            self.values.append({"marks": self.marks[pair]})
            self.add(*pair, len(self.values) - 1)
        del self.marks
        self.sort()

    def _read(self) -> set[str]:
        """Gather the marks; return the measures they have."""
        rows = self.rows
        task, worker = rows.column("task"), rows.column(*WORKER)
        x, y = rows.column("x"), rows.column("y")
        kind = rows.find("class")
        places = {name: rows.find(name) for name in ("r", "width", "height")}
        used: set[str] = set()
        given: set[tuple[str, ...]] = set()
        classes: set[str] = set()
        status = rows.find("status")
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
            mark: dict[str, Any] = {"x": number(rows, row[x]), "y": number(rows, row[y])}
            for name, place in places.items():
                if place is not None and row[place]:
                    mark[name] = number(rows, row[place])
                    if mark[name] <= 0:
                        raise rows.fail(f"{name} must be greater than 0.")
                    used.add(name)
            if kind is not None and row[kind]:
                mark["class"] = row[kind]
                classes.add(row[kind])
            marks.append(mark)
        self.classes = sorted(classes)
        if "r" in used and len(used) > 1:
            raise FileInvalid(
                f"{rows.name} has circles (r) and boxes (width, height): please give one of them."
            )
        return used

    def _views(self, rows: Rows | None) -> Iterator[tuple[str, str]]:
        if rows is None:
            return
        task, worker = rows.column("task"), rows.column(*WORKER)
        kind, status = rows.find("kind"), rows.find("status")
        for row in rows:
            if kind is not None and row[kind] == "cant_tell":
                continue  # no viewer
            if status is None or row[status] == "counted":
                yield row[task], row[worker]

    def read_gold(self, rows: Rows) -> dict[int, dict[str, Any]]:
        """The right marks: a row a mark, in the columns of the answers."""
        task, x, y = (rows.column(name) for name in ("task", "x", "y"))
        places = {name: rows.column(name) for name in self.config.measures}
        place = {name: number for number, name in enumerate(self.names)}
        right: dict[int, dict[str, Any]] = {}
        for row in rows:
            self.n_gold_rows += 1
            if row[task] in place and row[x]:
                self.n_gold_fitted += 1
                mark = {"x": number(rows, row[x]), "y": number(rows, row[y])}
                mark |= {name: number(rows, row[at]) for name, at in places.items()}
                if any(mark[name] <= 0 for name in places):
                    raise rows.fail(f"{', '.join(places)} must be greater than 0.")
                right.setdefault(place[row[task]], {"marks": []})["marks"].append(mark)
        return right

    def header(self, method: str) -> list[str]:
        measures = self.config.measures or ("r",)
        counts = ["probability", "n_marked", "n_saw", "x_sd", "y_sd"]
        extra = ["class", "class_share", "region_95", "status", "regions"]
        return ["task", "x", "y", *measures, *counts, *(f"{name}_sd" for name in measures), *extra]

    def rows_of(self, task: int, result: Consensus, method: str) -> Iterable[Sequence[Any]]:
        measures = self.config.measures or ("r",)
        for status in ("accepted", "possible") if self.possible else ("accepted",):
            for mark in result.detail["marks" if status == "accepted" else "possible"]:
                yield (
                    *(self.names[task], mark["x"], mark["y"], *(mark.get(name) for name in measures)),
                    *(mark[name] for name in ("probability", "n_marked", "n_saw", "x_sd", "y_sd")),
                    *(mark.get(f"{name}_sd") for name in measures),
                    *(mark["class"], mark["class_share"], mark["region_95"], status, mark["regions"]),
                )
