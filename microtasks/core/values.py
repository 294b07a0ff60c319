"""The values that task types speak: configs, payloads, answers, consensus, export columns."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

AnswerKind = Literal["value", "empty", "cant_tell"]
Method = Literal["majority", "model", "committee"]

#: What an export column says of who speaks for the model.
DECIDED_BY = (
    "Whose word `model` is: `model`, or `vote` where there are too few answers of each volunteer to learn "
    "from (when a model was fitted)."
)


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
    `shape`, the options being their classes); a type may have another word for what is none of these, which
    is then exported as text. options: (id, label), in the order shown. is_open: volunteers may add options
    of their own. unless: where this key is in a value, the part was answered in another way.
    """

    id: str
    kind: str
    label: str
    options: tuple[tuple[str, str], ...] = ()
    low: float | None = None
    high: float | None = None
    shape: Literal["circle", "point", "box"] | None = None
    is_open: bool = False
    unless: str | None = None

    def answered(self, value: Mapping[str, Any]) -> Any:
        """What an answer's value says in this part; None if it says nothing."""
        return None if self.unless in value else value.get(self.id)


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
