"""Answers to questions in a plain CSV file."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, cast

from microtasks.core.errors import AnswerInvalid, FileInvalid
from microtasks.core.parsing.lists import join_list, split_list
from microtasks.core.parsing.plainfile import WORKER, AnswerFile, Options, Rows, number
from microtasks.core.parsing.typed import clean

if TYPE_CHECKING:
    from microtasks.core.tasktype import TaskType
    from microtasks.core.values import Consensus

from microtasks.tasktypes.question import Choice, QuestionConfig, QuestionField
from microtasks.tasktypes.question.fields import Kind, as_offered

COLUMNS = (
    ("task,worker,label", "question with one field of choices"),
    ("task,worker,text", "question with one short text"),
    ("task,worker,value", "question with one number"),
)
#: The columns of a file with one field, and what they hold.
KINDS: dict[str, Kind] = {"label": "choice", "text": "text", "value": "number"}
A_COLUMN_A_FIELD = "With --config it may have a column a field of the question."


def read(task_type: TaskType[Any, Any, Any], settings: Any, rows: Rows, options: Options) -> AnswerFile:
    """Read the answers; settings: the config as JSON, None to make one of what the file holds."""
    return QuestionFile(task_type, settings, rows)


class QuestionFile(AnswerFile):
    """One field in the column `label`, `text` or `value`; or a column a field of the config."""

    def __init__(self, task_type: TaskType[Any, Any, Any], settings: Any, rows: Rows) -> None:
        super().__init__(task_type, rows)
        self.single = next((name for name in KINDS if name in rows.header), None)
        self.config = task_type.parse_config(settings) if settings is not None else None
        if self.config is None and self.single is None:
            rows.column(*KINDS, advice=A_COLUMN_A_FIELD)
        if self.config is not None and len(self.config.fields) > 1 and self.single in self._field_ids():
            self.single = None  # it is a field of the config
        if self.config is not None and self.single is not None and len(self.config.fields) > 1:
            raise FileInvalid(f"The config has several fields: {rows.name} needs a column for each.")
        self._read()
        self.sort()

    def _field_ids(self) -> tuple[str, ...]:
        return tuple(field.id for field in self.config.fields)

    def _read(self) -> None:
        rows = self.rows
        task, worker = rows.column("task"), rows.column(*WORKER)
        kind, status = rows.find("kind"), rows.find("status")
        names = [self.single] if self.single else [field.id for field in self.config.fields]
        places = [rows.column(cast(str, name)) for name in names]
        known: dict[tuple[str, ...], int] = {}
        for row in rows:
            if status is not None and row[status] != "counted":
                continue
            if kind is not None and row[kind] == "cant_tell":
                self.add(row[task], row[worker], 0)
                continue
            given = tuple(row[place] for place in places)
            if not any(given):  # nothing said
                self.add(row[task], row[worker], 0)
                continue
            number = known.get(given)
            if number is None:
                number = known[given] = len(self.values)
                self.values.append(self._value(given))
            self.add(row[task], row[worker], number)
        if self.config is None:
            self.config = self._found_config(sorted(str(value["answer"]) for value in self.values if value))
        self.field = self.config.fields[0].id if self.single else None

    def _value(self, given: tuple[str, ...]) -> Mapping[str, Any]:
        if self.config is None:
            return {"answer": number(self.rows, given[0]) if self.single == "value" else clean(given[0])}
        columns = [self.config.fields[0].id] if self.single else [field.id for field in self.config.fields]
        form = {
            name: split_list(cell) if field.kind == "choices" else [cell]
            for name, field, cell in zip(columns, self.config.fields, given, strict=True)
        }
        try:
            return self.type.parse_value(
                self.type.from_form(form, self.config), self.type.Payload(), self.config
            )
        except AnswerInvalid as error:
            raise self.rows.fail(error.message) from None

    def _found_config(self, labels: Sequence[str]) -> Any:
        """A config of one field, whose choices are the labels found in the file."""
        # Built without checks: a label may be any text here.
        choices = (
            tuple(Choice.model_construct(id=label) for label in labels) if self.single == "label" else ()
        )
        kind = KINDS[cast(str, self.single)]
        field = QuestionField.model_construct(id="answer", kind=kind, choices=choices)
        return QuestionConfig.model_construct(fields=(field,))

    def read_gold(self, rows: Rows) -> dict[int, dict[str, Any]]:
        task = rows.column("task")
        label = rows.column(*KINDS, *([self.field] if self.field else []), advice=A_COLUMN_A_FIELD)
        place = {name: number for number, name in enumerate(self.names)}
        field = self.config.fields[0]
        right: dict[int, dict[str, Any]] = {}
        for row in rows:
            self.n_gold_rows += 1
            known = number(rows, row[label]) if field.kind == "number" else as_offered(row[label], field)
            if field.kind == "choice" and known not in field.choice_ids:
                continue  # a truth that nobody named: nothing to learn from
            if row[task] in place:
                self.n_gold_fitted += 1
                right[place[row[task]]] = {field.id: known}
        return right

    def header(self, method: str) -> list[str]:
        if self.single == "label":
            beside = [] if method == "majority" else ["vote", "model", "differs"]
            return ["task", "label", "agreement", "confidence", "n_answers", "tied", *beside]
        if self.single == "text":
            return ["task", "text", "agreement", "n_answers", "confidence", "basis", "tied"]
        if self.single == "value":
            beside = [] if method == "majority" else ["vote", "differs"]
            interval = ("interval_low", "interval_high")
            return ["task", "value", "agreement", "confidence", "n_answers", *interval, *beside]
        return super().header(method)

    def rows_of(self, task: int, result: Consensus, method: str) -> Iterable[Sequence[Any]]:
        if self.single is None:
            yield from super().rows_of(task, result, method)
            return
        detail = result.detail["fields"][cast(str, self.field)]
        tied = join_list(detail["tied"])
        name, value = self.names[task], detail["value"]
        if self.single == "text":
            yield (
                *(name, value, detail["agreement"], result.n_answers),
                *(detail["confidence"], detail.get("basis"), tied),
            )
            return
        if self.single == "value":
            votes = detail.get("votes") or {}
            interval = (votes.get("interval_low"), votes.get("interval_high"))
            first = (name, value, detail["agreement"], detail["confidence"], result.n_answers, *interval)
            yield first if method == "majority" else (*first, detail.get("vote"), detail.get("differs"))
            return
        beside = (
            () if method == "majority" else (detail.get("vote"), detail.get("model"), detail.get("differs"))
        )
        yield name, value, detail["agreement"], detail["confidence"], result.n_answers, tied, *beside
