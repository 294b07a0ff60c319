"""Which tables and formats there are, and which of them fit a project."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

from microtasks.core.errors import InputError
from microtasks.core.values import Column, Part
from microtasks.engine.exports import answer_tables, result_tables, supplements
from microtasks.engine.exports.columns import TableSpec, type_of
from microtasks.engine.exports.format import Format, Source
from microtasks.engine.exports.interchange import TOOLS
from microtasks.engine.exports.plain_formats import PLAIN
from microtasks.engine.exports.snapshots import View, of_cut
from microtasks.engine.site import Site
from microtasks.engine.tabular import csv_format
from microtasks.engine.tabular.table import Table
from microtasks.store.exports import reads
from microtasks.store.exports.snapshots import Cut
from microtasks.store.tables import Project

#: As a page offers them: what most people want first.
_ORDER = ("items", "answers", "consensus", "marks", "tasks", "contributors", "sources")
_SPECS = {spec.name: spec for spec in (*answer_tables.TABLES, *result_tables.TABLES)}
TABLES: dict[str, TableSpec] = {
    spec.name: spec for spec in (*(_SPECS[name] for name in _ORDER), *supplements.TABLES)
}
FORMATS: dict[str, Format] = {format.name: format for format in (*PLAIN, *TOOLS)}


def check(site: Site, project: Project, table: str | None, format: str) -> tuple[Format, TableSpec]:
    """The format and the table of an export; table: None for the format's own. InputError for what is not."""
    chosen = FORMATS.get(format)
    if chosen is None:
        raise InputError(f"There is no export format {format!r}. There are: {', '.join(FORMATS)}.")
    table = table or usual_table(format)
    spec = TABLES.get(table)
    if spec is None:
        raise InputError(f"There is no export called {table!r}. There are: {', '.join(TABLES)}.")
    task_type, config = type_of(project)
    parts = task_type.parts(config)
    if table in ("marks", "sources") and not task_type.mark_columns(config):
        raise InputError("This project's tasks have no marks to export.")
    if not chosen.fits(parts):
        fitting = ", ".join(each.name for each in FORMATS.values() if each.fits(parts))
        kind = task_type.label.lower()
        raise InputError(f"The format {format} does not fit this {kind} project. These do: {fitting}.")
    if chosen.tables and table not in chosen.tables:
        raise InputError(f"The format {format} is for: {', '.join(chosen.tables)}; not for {table}.")
    if lack := chosen.lacks(site, project.id):
        raise InputError(lack)
    return chosen, spec


def usual_table(format: str) -> str:
    """The table that a format gives if none is named."""
    return next(iter(FORMATS[format].tables), "answers")


def formats_of(site: Site, project: Project) -> list[Format]:
    """The formats that this project can be had in."""
    parts = parts_of(project)
    return [each for each in FORMATS.values() if each.fits(parts) and not each.lacks(site, project.id)]


def parts_of(project: Project) -> tuple[Part, ...]:
    """What the project's tasks ask."""
    task_type, config = type_of(project)
    parts: tuple[Part, ...] = task_type.parts(config)
    return parts


def tables_of(view: View) -> list[TableSpec]:
    """The tables that make sense for this project: most are left out where there is nothing for them."""
    task_type, config = type_of(view.project)
    left_out = {spec.name for spec in supplements.TABLES} - supplements.filled(view)
    if not task_type.mark_columns(config):
        left_out |= {"marks", "sources"}
    else:
        with view.site.db.connection() as connection:
            if not reads.has_sources(connection, view.project.id):
                left_out |= {"sources"}
    return [spec for spec in TABLES.values() if spec.name not in left_out]


def key_of(project: Project, table: str) -> tuple[str, ...]:
    """The columns that tell the rows of a table apart; () where there are none."""
    own = type_of(project)[0].row_key if table == "consensus" else ()
    return () if own is None else (*TABLES[table].key, *own)


def now(site: Site, project: Project) -> View:
    """The project as it is, for what needs no state that stands still."""
    return View(site, project, of_cut(site, Cut(project.id, 0, datetime.now(UTC), "0")))


def source_of(view: View, table: str, options: Any) -> Source:
    """What a format's files of this table are made from."""
    task_type, config = type_of(view.project)
    return Source(view, config, task_type.parts(config), table, options)


def code_book(site: Site, project: Project) -> dict[str, tuple[Column, ...]]:
    """The columns of every table of this project, with type, unit and meaning."""
    return code_book_of(now(site, project))


def code_book_of(view: View) -> dict[str, tuple[Column, ...]]:
    """The same at a snapshot."""
    return {spec.name: spec.read(view).columns for spec in tables_of(view)}


def code_book_csv(view: View) -> Iterator[bytes]:
    """The code book as a file: table, column, type, unit, meaning."""
    return csv_format.write_csv(code_book_table(view))


def code_book_table(view: View) -> Table:
    """The code book as a table."""
    columns = tuple(Column(name, "string", "") for name in ("table", "column", "type", "unit", "meaning"))
    rows = (
        (name, column.name, column.type, column.unit, column.meaning)
        for name, listed in code_book_of(view).items()
        for column in listed
    )
    return Table(columns, rows)
