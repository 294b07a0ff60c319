"""The code book's own words: columns that several tables have, and what a table of an export is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import orjson

from microtasks import tasktypes
from microtasks.core.values import Column
from microtasks.engine.exports.snapshots import View
from microtasks.engine.tabular.formats import Table
from microtasks.store.tables import Project


@dataclass(frozen=True, slots=True)
class What:
    """One thing that can be exported: its name, one sentence for a person, and how it is read."""

    name: str
    label: str
    use: str  # "use this if ..."
    read: Callable[[View], Table]
    key: tuple[str, ...] = ()  # columns that tell its rows apart


PROJECT = Column("project", "string", "The project's short name, as in its address.")
TASK = Column("task", "integer", "The task's number in this site; never changes.")
EXTERNAL_ID = Column("external_id", "string", "The owner's own id of the task, or its file name.")
CONTRIBUTOR = Column(
    "contributor",
    "string",
    "Pseudonym of an anonymous volunteer: in one export, and in all of the same state, the same person, the "
    "same text.",
)
TILE = (
    Column("source", "string", "The big image that this task's image was cut from; empty if it was not."),
    Column("source_x", "integer", "Where in the big image the tile begins: add it to x.", "px"),
    Column("source_y", "integer", "Where in the big image the tile begins: add it to y.", "px"),
)


def in_short(value: Any) -> Any:
    """A value in one flat cell: one field's own, a list of words joined by |, marks counted, else JSON."""
    if not isinstance(value, dict):
        return value
    if len(value) == 1:
        (only,) = value.values()
        if not isinstance(only, (dict, list)):
            return only
        if isinstance(only, list):
            return len(only) if any(isinstance(item, dict) for item in only) else "|".join(map(str, only))
    return orjson.dumps(value).decode() if value else None


def distinct(columns: tuple[Column, ...]) -> tuple[Column, ...]:
    """The same columns, none with another's name: an owner may call a field `status` or `task`."""
    seen: set[str] = set()
    found: list[Column] = []
    for column in columns:
        name = column.name
        while name in seen:
            name = f"own_{name}"
        seen.add(name)
        found.append(replace(column, name=name))
    return tuple(found)


def type_of(project: Project) -> tuple[Any, Any]:
    """The task type of a project, and its config."""
    task_type = tasktypes.get(project.task_type)
    return task_type, task_type.parse_config(project.config)
