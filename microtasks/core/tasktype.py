"""The interface that every task type implements. A task type is pure: values in, values out."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Generic, TypeVar

from pydantic import ValidationError

from microtasks.core.errors import AnswerInvalid, ConfigInvalid
from microtasks.core.tiling import Seen
from microtasks.core.values import (
    Answer,
    Column,
    Compared,
    Consensus,
    Frozen,
    LabelScale,
    Media,
    Method,
    Part,
    Payload,
    Sure,
)

if TYPE_CHECKING:  # it brings numpy, which the web process does without
    from microtasks.core.columnar import Columns

C = TypeVar("C", bound=Frozen)
P = TypeVar("P", bound=Payload)
V = TypeVar("V", bound=Frozen)


class TaskType(ABC, Generic[C, P, V]):
    """One kind of microtask. Pure; raises only core.errors.

    A type is one folder under `microtasks/tasktypes/`: docs/adding-a-task-type.md says what lies in it.
    """

    name: ClassVar[str]
    version: ClassVar[int]
    label: ClassVar[str]  # for a person: "Question"
    summary: ClassVar[str]  # one sentence for the owner who chooses a type
    inline: ClassVar[bool]  # cheap enough to reduce inside the submit transaction?
    columnar: ClassVar[bool] = False  # does it have `reduce_columns`?
    needs_image: ClassVar[bool] = False
    #: Answered on the picture itself (stage.html): works on a phone, but is easier on a large screen.
    is_drawn: ClassVar[bool] = False
    #: Columns that tell the rows of one consensus apart; (): one row a task; None: nothing does.
    row_key: ClassVar[tuple[str, ...] | None] = ()
    #: Lists in a consensus' detail of the objects that answers add up to, each with `n_saw` and `n_marked`.
    object_lists: ClassVar[tuple[str, ...]] = ()
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
    def from_form(self, form: Mapping[str, Sequence[str]], config: C, decimal: str = ".") -> dict[str, Any]:
        """Turn a plain HTML form post (no JavaScript) into a raw value for `parse_value`.

        Of a form in which nothing was chosen it must give what `parse_value` refuses, or what `is_empty`
        says is nothing: never an answer. decimal: the mark before a fraction in the writer's language.
        """

    def empty_value(self, config: C) -> dict[str, Any] | None:
        """The answer "nothing here", as its button gives it; None where that is no answer."""
        try:
            value = self.parse_value(self.from_form({}, config), self.Payload(), config)
        except AnswerInvalid:
            return None
        return value if self.is_empty(value) else None

    def ask(self, config: C) -> str:
        """The question over each task that has none of its own; "": the project's purpose stands there."""
        return ""

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
