"""How tables of exports are declared: each column with where its values come from, each table by name."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from operator import itemgetter
from typing import Any

import orjson

from microtasks import tasktypes
from microtasks.core.parsing.lists import join_list
from microtasks.core.values import Column
from microtasks.engine.exports.snapshots import View
from microtasks.engine.tabular.table import BLOCK_ROWS, Table
from microtasks.engine.tabular.vectors import Same, Vector, rows
from microtasks.store.tables import Project

#: A row as it was read, with what its table added to it.
Record = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Field:
    """One column of a table, and how a chunk of what the table is read from becomes its values."""

    column: Column
    read: Callable[[Any], Vector]


@dataclass(frozen=True, slots=True)
class TableSpec:
    """One table that can be exported: its name, one sentence for a person, and how it is read."""

    name: str
    label: str
    use: str  # "use this if ..."
    read: Callable[[View], Table]
    key: tuple[str, ...] = ()  # columns that tell its rows apart


def stored(key: str, column: Column) -> Field:
    """A column that holds what was read under this key."""
    return Field(column, lambda records: list(map(itemgetter(key), records)))


def computed(column: Column, value: Callable[[Record], Any]) -> Field:
    """A column whose value is made of the whole row."""
    return Field(column, lambda records: list(map(value, records)))


def same(column: Column, value: Any) -> Field:
    """A column of one value."""
    return Field(column, lambda records: Same(value, len(records)))


def listed(key: str, columns: Sequence[Column]) -> tuple[Field, ...]:
    """Columns that hold the items of a tuple that was read under this key."""

    def item(nth: int) -> Callable[[Sequence[Record]], Vector]:
        return lambda records: [record[key][nth] for record in records]

    return tuple(Field(column, item(nth)) for nth, column in enumerate(columns))


def table(fields: Sequence[Field], records: Iterable[Record]) -> Table:
    """The table of these fields: a row a record."""
    return table_of_chunks(fields, _chunks(records))


def table_of_chunks(fields: Sequence[Field], chunks: Iterable[Any]) -> Table:
    """The table of these fields, read a chunk at a time."""
    blocks = ([field.read(chunk) for field in fields] for chunk in chunks)
    return Table(_distinct([field.column for field in fields]), rows(blocks), blocks)


def _chunks(records: Iterable[Record]) -> Iterator[list[Record]]:
    records = iter(records)
    while chunk := list(islice(records, BLOCK_ROWS)):
        yield chunk


def _distinct(columns: Sequence[Column]) -> tuple[Column, ...]:
    """The same columns, none with another's name: an owner may call a field `status` or `task`."""
    names: set[str] = set()
    renamed: list[Column] = []
    for column in columns:
        name = column.name
        while name in names:
            name = f"own_{name}"
        names.add(name)
        renamed.append(replace(column, name=name))
    return tuple(renamed)


def in_short(value: Any) -> Any:
    """A value in one flat cell: one field's own, a list of words joined by |, marks counted, else JSON."""
    if not isinstance(value, dict):
        return value
    if len(value) == 1:
        (only,) = value.values()
        if not isinstance(only, (dict, list)):
            return only
        if isinstance(only, list):
            return len(only) if any(isinstance(item, dict) for item in only) else join_list(only)
    return orjson.dumps(value).decode() if value else None


def type_of(project: Project) -> tuple[Any, Any]:
    """The task type of a project, and its config."""
    task_type = tasktypes.get(project.task_type)
    return task_type, task_type.parse_config(project.config)


# -- columns that several tables have -------------------------------------------------------------------

CONTRIBUTOR = Column(
    "contributor",
    "string",
    "Pseudonym of an anonymous volunteer: in one export, and in all of the same state, the same person, the "
    "same text.",
)
_FILE_NAME = Column(
    "file_name",
    "string",
    "Name of the task's (first) image file as it was uploaded, of a tile the big image's; empty without one.",
)
_TILE = (
    ("source", "string", "The big image that this task's image was cut from; empty if it was not.", ""),
    ("source_x", "integer", "Where in the big image the tile begins: add it to x.", "px"),
    ("source_y", "integer", "Where in the big image the tile begins: add it to y.", "px"),
)


def project_field(view: View) -> Field:
    """The project's short name."""
    return same(
        Column("project", "string", "The project's short name, as in its address."), view.project.slug
    )


def task_fields(view: View) -> tuple[Field, ...]:
    """What tells a task in every table: project, number, the owner's id."""
    return (
        project_field(view),
        stored("task_id", Column("task", "integer", "The task's number in this site; never changes.")),
        stored(
            "external_id",
            Column("external_id", "string", "The owner's own id of the task, or its file name."),
        ),
    )


def file_name_field() -> Field:
    """The uploaded file's name."""
    return stored("file_name", _FILE_NAME)


def contributor_field(view: View, column: Column = CONTRIBUTOR) -> Field:
    """The pseudonym of whose row it is."""
    return computed(column, lambda record: view.snapshot.pseudonym(record["contributor_id"]))


def tile_fields() -> tuple[Field, ...]:
    """Where in a big image the task's image lies."""
    return tuple(stored(name, Column(name, kind, meaning, unit)) for name, kind, meaning, unit in _TILE)
