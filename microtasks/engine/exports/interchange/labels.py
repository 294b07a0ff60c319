"""Names that other tools give to options, and the owner's columns that they may need."""

from __future__ import annotations

import json
import re
from collections import Counter
from typing import Any

from microtasks.core.values import Part

#: Id of the class of marks that were given none.
NO_CLASS = ""


def as_text(value: Any) -> str:
    """What an answer says in a part that the other tool has no word for: a text as it is, else JSON."""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, sort_keys=True)


def options_of(part: Part) -> list[tuple[str, str]]:
    """(id, label) of each option; labels are told apart also by tools that keep only their letters.

    A scale's options are its steps. Marks have one option more, for marks without a class.
    """
    if part.kind == "scale":
        steps = range(int(part.low or 0), int(part.high or 0) + 1)
        return [(str(step), str(step)) for step in steps]
    options = list(part.options)
    if part.kind == "marks":
        options.append((NO_CLASS, "No class" if options else (part.shape or "mark").capitalize()))
    spelt = Counter(_letters(label) for _, label in options)
    return [(name, label if spelt[_letters(label)] == 1 else f"{label} ({name})") for name, label in options]


def _letters(label: str) -> str:
    return re.sub(r"\W+", "-", label.casefold()).strip("-")
