"""The fields of a question: what an owner sets, what may be answered, and in which spelling it is kept."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from pydantic import ConfigDict, Field, StrictFloat, StrictInt, StrictStr, model_validator

from microtasks.core.parsing import spelling, typed
from microtasks.core.values import Frozen

Kind = Literal["choice", "choices", "number", "text", "scale"]
#: Every form has a field of this name of its own.
FORM_TOKEN = "csrf_token"  # noqa: S105  (a name, no secret)
#: The vote for "left blank" in a field that need not be answered.
BLANK = "\x00blank"


#: In a transcription: a word that cannot be read, and that nothing is written here.
ILLEGIBLE_TOKEN, BLANK_TOKEN = "[illegible]", "[blank]"


class Choice(Frozen):
    """One answer to choose."""

    id: str = Field(
        title="Id",
        description="Short name in the results, as yes or sand_dune.",
        min_length=1,
        max_length=100,
        pattern=r"^[^|\x00-\x1f]+$",
    )
    label: str = Field("", title="Label", description="What volunteers read.", max_length=300)


class ShowIf(Frozen):
    """Ask only when an earlier field was answered so."""

    model_config = ConfigDict(validate_by_name=True, validate_by_alias=True)

    field: str = Field(title="Field", description="Id of the earlier field.")
    equals: str | int = Field(
        alias="is",
        title="Is",
        description="The answer (choice id, or number of a scale) that opens this one.",
    )


class QuestionField(Frozen):
    """One field of the form."""

    id: str = Field(
        title="Id",
        description="Short name of the column in the results: letters, digits, underscore.",
        pattern=r"^[A-Za-z][A-Za-z0-9_]{0,39}$",
    )
    kind: Kind = Field(
        "choice",
        title="Kind",
        description="choice (one of several), choices (any of several), number, text (short) or scale.",
    )
    label: str = Field("", title="Question", description="What volunteers are asked.", max_length=500)
    help: str = Field("", title="Help", description="A hint below the question.", max_length=500)
    choices: tuple[Choice, ...] = Field(
        (), title="Choices", description="For choice and choices.", max_length=200
    )
    required: bool = Field(True, title="Required", description="Must it be answered?")
    show_if: ShowIf | None = Field(
        None, title="Show if", description="Ask only after a certain answer to an earlier field."
    )
    min: float | None = Field(None, title="Smallest", description="For number and scale.")
    max: float | None = Field(None, title="Greatest", description="For number and scale.")
    min_label: str = Field("", title="Label of the smallest", description="For scale.", max_length=100)
    max_label: str = Field("", title="Label of the greatest", description="For scale.", max_length=100)
    unit: str = Field("", title="Unit", description="For number: m, km, birds.", max_length=40)
    tolerance: float | None = Field(
        None,
        title="Tolerance",
        description="For number: answers this near agree. Empty: within a tenth.",
        ge=0,
    )
    max_length: int = Field(
        500, title="Longest text", description="For text, in characters.", ge=1, le=10_000
    )
    compare: spelling.Comparison = Field(
        "loose",
        title="Texts are the same",
        description=(
            "For text. exact: 'St. Ives' and 'st. ives' are two texts. spacing_and_case: they are one, but "
            "'St Ives' is another. loose: all three are one. 12.5 and 125 are two, always."
        ),
    )
    transcription: bool = Field(
        False,
        title="Transcription",
        description="For text that is copied from the picture: buttons for what cannot be read or is blank.",
    )

    @model_validator(mode="after")
    def _check_whole(self) -> QuestionField:
        if self.kind in ("choice", "choices"):
            if not self.choices:
                raise ValueError(f"The field {self.id} needs at least one choice.")
            if len({choice.id for choice in self.choices}) < len(self.choices):
                raise ValueError(f"Two choices of the field {self.id} have the same id.")
        if self.min is not None and self.max is not None and self.min >= self.max:
            raise ValueError(f"In the field {self.id} the smallest is not below the greatest.")
        if self.kind == "scale" and not (
            self.low == int(self.low) and self.high == int(self.high) and 0 < self.high - self.low <= 100
        ):
            raise ValueError(f"The scale {self.id} needs whole numbers, at most 100 steps apart.")
        return self

    @property
    def tokens(self) -> tuple[str, str]:
        """What a transcription says in place of text: a word that cannot be read; nothing is written."""
        return ILLEGIBLE_TOKEN, BLANK_TOKEN

    @property
    def low(self) -> float:
        """First step of a scale."""
        return 1 if self.min is None else self.min

    @property
    def high(self) -> float:
        """Last step of a scale."""
        return self.low + 4 if self.max is None else self.max

    @property
    def choice_ids(self) -> tuple[str, ...]:
        """What can be chosen, in the order shown; the steps of a scale as text."""
        if self.kind == "scale":
            return tuple(str(step) for step in range(int(self.low), int(self.high) + 1))
        return tuple(choice.id for choice in self.choices)


class QuestionConfig(Frozen):
    """The fields of a question project."""

    fields: tuple[QuestionField, ...] = Field(
        title="Fields", description="The questions, in order.", min_length=1, max_length=10
    )
    poll: bool = Field(
        False,
        title="Poll",
        description="Show how everybody answers, right after the own answer. For one choice alone.",
    )

    @model_validator(mode="after")
    def _check_known(self) -> QuestionConfig:
        seen: dict[str, QuestionField] = {}
        for item in self.fields:
            if item.id == FORM_TOKEN:
                raise ValueError(f"A field cannot be called {FORM_TOKEN}.")
            if item.id in seen:
                raise ValueError(f"Two fields have the id {item.id}.")
            if item.show_if is not None:
                parent = seen.get(item.show_if.field)
                if parent is None:
                    raise ValueError(
                        f"The field {item.id} depends on {item.show_if.field}, which is not above it."
                    )
                if parent.kind in ("number", "text"):
                    raise ValueError(f"The field {item.id} can only depend on a choice or a scale.")
                if str(item.show_if.equals) not in parent.choice_ids:
                    raise ValueError(
                        f"{parent.id} can never be {item.show_if.equals}, so {item.id} is never asked."
                    )
            seen[item.id] = item
        if self.poll and (len(self.fields) > 1 or self.fields[0].kind != "choice"):
            raise ValueError("A poll asks one question, with one of several choices as the answer.")
        return self


class QuestionValue(Frozen):
    """One answer: a value by field id. Which ids and values are allowed is the project's config."""

    # The names come from the project, so pydantic lets all pass; `check` refuses those of no field.
    model_config = ConfigDict(frozen=True, extra="allow", allow_inf_nan=False)

    __pydantic_extra__: dict[str, StrictInt | StrictFloat | StrictStr | list[StrictStr]]


def is_blank(value: object) -> bool:
    """Was nothing said? Characters that nobody can see say nothing."""
    return value is None or value == [] or (isinstance(value, str) and not typed.clean(value))


def opens(show_if: ShowIf, value: object) -> bool:
    """Does this answer to the earlier field open the later one?"""
    wanted = str(show_if.equals)
    return wanted in value if isinstance(value, list) else value is not None and str(whole(value)) == wanted


def is_asked(item: QuestionField, given: Mapping[str, Any], config: QuestionConfig) -> bool:
    """Was this field shown to someone who answered so? A field below a hidden one is hidden too."""
    if item.show_if is None:
        return True
    parent = next(field for field in config.fields if field.id == item.show_if.field)
    return opens(item.show_if, given.get(parent.id)) and is_asked(parent, given, config)


def without_hidden(given: Mapping[str, Any], config: QuestionConfig) -> dict[str, Any]:
    """Without the fields that were hidden: a form may send what was typed before it was hidden."""
    hidden = {item.id for item in config.fields if not is_asked(item, given, config)}
    return {name: value for name, value in given.items() if name not in hidden}


def problem(value: Any, item: QuestionField) -> str | None:
    """What is wrong with a value of this field, for a person."""
    if item.kind == "choice":
        return None if value in item.choice_ids else "Please choose one of the answers offered."
    if item.kind == "choices":
        is_fine = isinstance(value, list) and set(value) <= set(item.choice_ids)
        return None if is_fine else "Please choose among the answers offered."
    if item.kind == "text":
        if not isinstance(value, str):
            return "Please write a text."
        return (
            None if len(value) <= item.max_length else f"Please write at most {item.max_length} characters."
        )
    if isinstance(value, bool) or not isinstance(value, int | float):
        return "Please give a number."
    if item.kind == "scale":
        is_fine = value == int(value) and item.low <= value <= item.high
        return None if is_fine else f"Please choose from {item.low:g} to {item.high:g}."
    if item.min is not None and value < item.min:
        return f"The smallest number possible is {item.min:g}."
    if item.max is not None and value > item.max:
        return f"The greatest number possible is {item.max:g}."
    return None if abs(value) <= 1e15 else "This number is too great."


def canonical(value: Any, item: QuestionField) -> Any:
    if item.kind == "choices":
        return [choice for choice in item.choice_ids if choice in value]
    if item.kind == "text":
        return typed.clean(value)
    return whole(value)


def as_offered(value: Any, item: QuestionField) -> Any:
    """A choice by its id, where it is written as the id looks: NFC, and no blanks at the ends."""
    if item.kind == "choices" and isinstance(value, list):
        return [_id_of(choice, item) for choice in value]
    return _id_of(value, item) if item.kind == "choice" else value


def _id_of(choice: Any, item: QuestionField) -> Any:
    if not isinstance(choice, str) or choice in item.choice_ids:
        return choice
    ids = {typed.clean(known): known for known in item.choice_ids}
    return ids.get(typed.clean(choice), choice)


def whole(value: Any) -> Any:
    """2.0 as 2, everything else as it is."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


def number(entry: str, item: QuestionField, decimal: str = ".") -> float | str:
    """A typed number, in any digits. What is none stays a text, and `check` says so."""
    value = typed.number(entry, decimal)
    return entry if value is None else whole(value)
