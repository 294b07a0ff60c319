"""What a task type is, and the values it speaks. A task type is pure: values in, values out."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar, Generic, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from microtasks.core.errors import AnswerInvalid, ConfigInvalid

if TYPE_CHECKING:
    from microtasks.core.columnar import Columns
    from microtasks.core.tiling import Seen

AnswerKind = Literal["value", "empty", "cant_tell"]
Method = Literal["majority", "model", "committee"]


class Frozen(BaseModel):
    """Base of every Config, Payload and Value: immutable, and nothing unknown gets in."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class Payload(Frozen):
    """What a volunteer is shown of a task, besides its images. `metadata` is shown as name: value."""

    text: str | None = None
    question: str | None = None
    metadata: dict[str, str] = {}


class Media(Frozen):
    """One image of a task, as shown. Width and height are the oriented original's, in pixels."""

    width: int
    height: int


@dataclass(frozen=True, slots=True)
class Answer:
    """What one contributor said about one task; `value` is the plain JSON value, None for `cant_tell`."""

    contributor: str
    kind: AnswerKind
    value: Mapping[str, Any] | None


@dataclass(frozen=True, slots=True)
class Consensus:
    """What the answers to one task add up to.

    value: plain JSON like an answer's value; None when there is none (no answers, or a tie).
    agreement: share of counted answers that support the value, 0..1 (the reducer says how).
    confidence: posterior probability that the value is right, 0..1; None where the method gives none.
    n_answers: counted answers it rests on, `cant_tell` included.
    is_tied: two or more values have equal support; then `value` is None and `detail` names them.
    detail: the type's own JSON (per field, per tag, per mark): what `rows` writes to the export.
    reducer: name and version, as "question/1". parameters: what it was called with.
    """

    value: dict[str, Any] | None
    agreement: float
    confidence: float | None
    n_answers: int
    is_tied: bool = False
    detail: dict[str, Any] = field(default_factory=dict)
    reducer: str = ""
    parameters: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Column:
    """One export column and its line in the code book.

    type: one of "string", "integer", "number", "boolean", "datetime", "json". unit: "px", "s", "0..1", or "".
    """

    name: str
    type: str
    meaning: str
    unit: str = ""


@dataclass(frozen=True, slots=True)
class LabelScale:
    """What labels there are, in order, and how they differ: by name, by rank, or by number."""

    metric: Literal["nominal", "ordinal", "interval"]
    labels: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Part:
    """One thing that a volunteer is asked, in words that other tools know: exports to them are made of these.

    id: its key in an answer's value. kind says what lies there: "choice" (the id of an option), "choices" (a
    list of them), "scale" (an integer from `low` to `high`), "number", "text", or "marks" (a list of marks of
    `shape`, the options being their classes). options: (id, label), in the order shown. is_open: volunteers
    may add options of their own.
    """

    id: str
    kind: Literal["choice", "choices", "scale", "number", "text", "marks"]
    label: str
    options: tuple[tuple[str, str], ...] = ()
    low: float | None = None
    high: float | None = None
    shape: Literal["circle", "point", "box"] | None = None
    is_open: bool = False


Outcome = Literal["matched", "missed", "extra", "right", "other"]


@dataclass(frozen=True, slots=True)
class Compared:
    """One part of an answer beside what is right, for the volunteer to learn from.

    outcome: of things to find "matched" (in both), "missed" (only in what is right), "extra" (only in the
    answer); of what is chosen or written "right" or "other". part: tells the parts of what is right apart;
    "" for what is only in the answer. label: what the part is; said, right: the two values, for a person.
    mark, target: the volunteer's mark and the one that is there, as in a value, in px of the image; cell:
    left, top, right, bottom of a square, px.
    """

    outcome: Outcome
    part: str
    label: str | None = None
    said: str | None = None
    right: str | None = None
    mark: Mapping[str, Any] | None = None
    target: Mapping[str, Any] | None = None
    cell: tuple[float, float, float, float] | None = None

    @property
    def is_good(self) -> bool:
        """Is the answer as it should be here?"""
        return self.outcome in ("matched", "right")


@dataclass(frozen=True, slots=True)
class Sure:
    """What must be sure before a task may need no more answers.

    labels: the consensus' own label of each scale (`TaskType.scales`) that must be. confidences: 0..1, of the
    parts that have no scale: numbers, texts.
    """

    labels: Mapping[str, str]
    confidences: tuple[float, ...] = ()


C = TypeVar("C", bound=Frozen)
P = TypeVar("P", bound=Payload)
V = TypeVar("V", bound=Frozen)


class TaskType(ABC, Generic[C, P, V]):
    """One kind of microtask. Pure; raises only core.errors.

    A type is one folder under `microtasks/tasktypes/` with `__init__.py` (a module-level `TYPE` instance),
    `presenter.html` (the volunteer's form, works without JavaScript where it can), `presenter.js`
    (`mount(element, {payload, config, media, ...}) -> {read()}`) and `examples.json`.
    """

    name: ClassVar[str]
    version: ClassVar[int]
    label: ClassVar[str]  # for a person: "Question"
    summary: ClassVar[str]  # one sentence for the owner who chooses a type
    inline: ClassVar[bool]  # cheap enough to reduce inside the submit transaction?
    columnar: ClassVar[bool] = False  # does it have `reduce_columns`?
    needs_image: ClassVar[bool] = False
    is_drawn: ClassVar[bool] = False  # works on a phone, but is easier on a large screen
    #: Columns that tell the rows of one consensus apart; (): one row a task; None: nothing does.
    row_key: ClassVar[tuple[str, ...] | None] = ()
    Config: type[C]
    Payload: type[P]
    Value: type[V]

    @property
    def reducer(self) -> str:
        """Name and version stamped on each consensus: "question/1"."""
        return f"{self.name}/{self.version}"

    def parse_config(self, raw: object) -> C:
        """Return the config; raise ConfigInvalid with `details["problems"]`, each {"where", "what"}."""
        try:
            return self.Config.model_validate(raw)
        except ValidationError as error:
            raise ConfigInvalid(problems=problems(error)) from None

    def parse_value(self, raw: object, payload: P, config: C, media: Sequence[Media] = ()) -> dict[str, Any]:
        """Return the plain JSON of a valid answer value; raise AnswerInvalid with `details["problems"]`."""
        try:
            value = self.Value.model_validate(raw)
        except ValidationError as error:
            raise AnswerInvalid(problems=problems(error)) from None
        self.check(value, payload, config, media)
        return value.model_dump(mode="json", by_alias=True, exclude_none=True)

    @abstractmethod
    def check(self, value: V, payload: P, config: C, media: Sequence[Media]) -> None:
        """Raise AnswerInvalid when the value does not fit this task (choice not offered, mark outside)."""

    @abstractmethod
    def is_empty(self, value: Mapping[str, Any]) -> bool:
        """Does this value say "nothing here"? Then the answer is of kind `empty`."""

    @abstractmethod
    def from_form(self, form: Mapping[str, Sequence[str]], config: C) -> dict[str, Any]:
        """Turn a plain HTML form post (no JavaScript) into a raw value for `parse_value`."""

    @abstractmethod
    def reduce(
        self, answers: Sequence[Answer], config: C, skills: Mapping[str, float] | None = None
    ) -> Consensus:
        """Fold the counted answers of one task. Order-free, never random; ties are said, not broken.

        skills: weight of each contributor, 0..; a missing one weighs 1.
        """

    def glance(self, answers: Sequence[Answer], config: C) -> Consensus | None:
        """Say at once what needs no reducing, for a type that is not `inline`: None for all that does.

        Cheap enough for the submit transaction; it may retire a task early, never decide a hard one.
        """
        return None

    def reduce_project(
        self,
        tasks: Iterable[tuple[int, Sequence[Answer]]],
        config: C,
        method: Method = "majority",
        gold: Mapping[int, Mapping[str, Any]] | None = None,
        compare: bool = False,
    ) -> Iterator[tuple[int, Consensus]]:
        """Fold a whole project at once; `model` and `committee` weigh contributors by their track record.

        tasks: (task, its answers), each task once; read twice where a model is fitted, so then it must
        give the same tasks in the same order again (a list, an object with `__iter__`). gold: the right
        values that are known, by task. compare: put the model's result beside the vote's also where the
        vote decides.
        """
        for task, answers in tasks:
            yield task, self.reduce(answers, config)

    def reduce_columns(
        self,
        answers: Columns,
        config: C,
        method: Method = "majority",
        gold: Mapping[int, Mapping[str, Any]] | None = None,
    ) -> Iterator[tuple[int, Consensus]]:
        """Fold a whole project that is given as columns: what `reduce_project` gives with `compare`.

        For a type that is `columnar`: one whose tasks need no more of an answer than what was said.
        """
        raise NotImplementedError

    def merge_tiles(self, tiles: Sequence[Seen], config: C) -> Consensus | None:
        """Fold the answers to all tiles of a big image, in its pixels; None where the type has no places."""
        return None

    def scales(self, config: C) -> dict[str, LabelScale]:
        """What people can agree about, by name: fields, choices, tags; {} for a type without plain labels."""
        return {}

    def labels(self, value: Mapping[str, Any], config: C) -> dict[str, str]:
        """One answer as plain labels, a part of those in `scales`: for agreement statistics."""
        return {}

    def numbers(self, value: Mapping[str, Any], config: C) -> dict[str, float]:
        """The numbers in one answer, by name: their agreement goes by how far they are apart."""
        return {}

    def parts(self, config: C) -> tuple[Part, ...]:
        """What is asked, for the formats of other tools; () for a type that has no words for it there."""
        return ()

    def poll(self, config: C) -> Part | None:
        """The one choice whose votes are shown to who has given theirs; None for all that is no poll."""
        return None

    def sure_when(self, consensus: Consensus, config: C) -> Sure | None:
        """Say what "stop when sure" has to be sure of; None: nothing here may stop early.

        A type whose answers are no labels leaves it: its tasks go by agreement, or by count.
        """
        return None

    @abstractmethod
    def score(self, value: Mapping[str, Any], gold: Mapping[str, Any], config: C) -> float:
        """How right an answer's value is against gold, 0..1."""

    def compare(self, value: Mapping[str, Any], right: Mapping[str, Any], config: C) -> list[Compared]:
        """Say part by part how an answer's value stands beside what is right."""
        return [Compared("right" if self.score(value, right, config) == 1 else "other", "")]

    def check_gold(self, raw: object, payload: P, config: C, media: Sequence[Media] = ()) -> dict[str, Any]:
        """Return gold's plain JSON: the same checks as an answer."""
        return self.parse_value(raw, payload, config, media)

    def gold_from_columns(self, columns: Mapping[str, str], config: C) -> dict[str, Any]:
        """Turn import columns `gold_<field>` (prefix removed) into a raw value; raise AnswerInvalid."""
        raise AnswerInvalid(f"Gold for {self.label.lower()} tasks is given in one column `gold`, as JSON.")

    @abstractmethod
    def answer_columns(self, config: C) -> tuple[Column, ...]:
        """Columns of the answers export after the common ones."""

    @abstractmethod
    def answer_row(self, value: Mapping[str, Any] | None, config: C) -> tuple[Any, ...]:
        """One answer's values for `answer_columns` (value is None for `cant_tell`)."""

    def picks(self, config: C) -> tuple[str, ...] | None:
        """The key in an answer's value of each of `answer_columns`, lists joined by |; None: `answer_row`.

        For exports of very many answers, which then read these alone, many at a time.
        """
        return None

    @abstractmethod
    def columns(self, config: C) -> tuple[Column, ...]:
        """Columns of the consensus export after the common ones."""

    @abstractmethod
    def rows(self, consensus: Consensus, config: C) -> Iterable[tuple[Any, ...]]:
        """One consensus as rows for `columns`; one row or several (a row a tag, a mark)."""

    def mark_columns(self, config: C) -> tuple[Column, ...]:
        """Columns of the marks export after contributor; () for a type without marks."""
        return ()

    def mark_rows(self, value: Mapping[str, Any] | None, config: C) -> Iterable[tuple[Any, ...]]:
        """One answer's marks for `mark_columns`."""
        return ()


def problems(error: ValidationError) -> list[dict[str, str]]:
    """Say a pydantic error in the API's form: where it is (dotted) and what is wrong."""
    return [
        {"where": ".".join(str(part) for part in item["loc"]), "what": item["msg"]}
        for item in error.errors(include_url=False, include_context=False, include_input=False)
    ]
