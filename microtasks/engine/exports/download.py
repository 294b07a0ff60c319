"""Use cases of exports that are written while they are read: the files of one table, a page of its rows."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Any

from microtasks.core.errors import InputError
from microtasks.core.parsing.formulas import escape_formulas
from microtasks.core.values import Column
from microtasks.engine.exports import registry, snapshots
from microtasks.engine.exports.columns import TableSpec
from microtasks.engine.exports.format import Format, Options
from microtasks.engine.exports.snapshots import Bounds, Snapshot, View
from microtasks.engine.site import Site
from microtasks.engine.tabular.archive import zipped
from microtasks.engine.tabular.table import File, Table
from microtasks.engine.tabular.workbook import Sheet, write_workbook
from microtasks.store.exports.snapshots import Filter, Mark
from microtasks.store.tables import Project

#: Tables whose rows are tasks, so that they can be asked for by the tasks' state.
BY_STATE = ("items", "consensus", "tasks")


def export(
    site: Site,
    project: Project,
    table: str | None,
    format: str = "csv",
    *,
    options: Options | None = None,
    snapshot: Snapshot | None = None,
) -> Iterator[bytes]:
    """Stream one table of a project in one format: the first of its `files`."""
    return next(iter(files(site, project, table, format, options=options, snapshot=snapshot))).chunks


def files(
    site: Site,
    project: Project,
    table: str | None,
    format: str = "csv",
    *,
    options: Options | None = None,
    snapshot: Snapshot | None = None,
) -> Iterable[File]:
    """The files of one export, streamed, the main one first. InputError at once for what cannot be given.

    table: None for the format's own. snapshot: which state; None: the present one.
    """
    chosen, spec = registry.check(site, project, table, format)
    return written(
        View(site, project, snapshot or snapshots.take(site, project)), spec, chosen, options or Options()
    )


def written(view: View, spec: TableSpec, format: Format, options: Options) -> Iterable[File]:
    """The files of one table in one format that fits the project."""
    source = registry.source_of(view, spec.name, options)
    if format.files is not None:
        return format.files(source)
    if format.write is None:
        raise ValueError(f"the format {format.name} writes nothing")
    table = spec.read(view)
    columns = table.columns if format.is_whole_table else ()
    if format.name == "csv" and not options.raw:  # as they stand in the file
        columns = tuple(replace(column, name=escape_formulas(column.name)) for column in columns)
    name = f"{view.project.slug}-{spec.name}{format.suffix}"
    return [File(name, format.mime, format.write(table, source), spec.name, columns)]


def one_file(
    site: Site,
    project: Project,
    table: str | None,
    format: str,
    *,
    options: Options | None = None,
    snapshot: Snapshot | None = None,
) -> File:
    """The one file that a person gets: a ZIP where there are several, a workbook of all tables for "all"."""
    snapshot = snapshot or snapshots.take(site, project)
    if table == "all" and format == "xlsx":
        return workbook(View(site, project, snapshot))
    table = table or registry.usual_table(format)
    options = options or Options()
    parts = files(site, project, table, format, options=options, snapshot=snapshot)
    chosen = registry.FORMATS[format]
    if not chosen.in_zip(options):
        return next(iter(parts))
    name = f"{project.slug}-{table}{chosen.file_suffix(options)}"
    return File(name, chosen.file_mime(options), zipped(parts, snapshot.cut.at))


def workbook(view: View) -> File:
    """Every table of the project as one Excel workbook, items with their results first, code book last."""

    def sheets() -> Iterator[Sheet]:
        for spec in registry.tables_of(view):
            yield Sheet(spec.label, spec.read(view))
        yield Sheet("Code book", registry.code_book_table(view))

    xlsx = registry.FORMATS["xlsx"]
    return File(
        f"{view.project.slug}{xlsx.suffix}", xlsx.mime, write_workbook(sheets(), view.snapshot.cut.at)
    )


# -- a page at a time -----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Cursor:
    """Where a reader of a table is. after: the key to read on behind, in this walk through the table.

    changed_after: what the reader had read before this walk, None: nothing. upto: what they have read when
    this walk is at its end; None: it begins.
    """

    after: Any = None
    changed_after: Mark | None = None
    upto: Mark | None = None


@dataclass(frozen=True, slots=True)
class Page:
    """Some rows of a table. next: where to read on, None at the end.

    last: where to read on another day, for whatever is new or changed since.
    """

    columns: tuple[Column, ...]
    rows: list[tuple[Any, ...]]
    last: Cursor
    next: Cursor | None


def page(
    site: Site,
    project: Project,
    table: str,
    cursor: Cursor,
    limit: int,
    *,
    state: str = "",
    since: Any = None,
) -> Page:
    """The rows of a table that belong to `limit` keys behind a cursor.

    Keys are answers, tasks, contributors or big images: one may give several rows, or none. Each page is the
    present state. Whoever reads on behind `last` another day is given every row that is new or has changed
    since the walk began, and maybe some that have not: nothing is ever lost, whatever its key. Contributors
    have the same names in every page. state: "open" or "retired" tasks alone. since: a time; only rows that
    were written then or later. InputError.
    """
    if table not in registry.TABLES:
        raise InputError(f"There is no table called {table!r}. There are: {', '.join(registry.TABLES)}.")
    if state and table not in BY_STATE:
        raise InputError(f"Only these tables can be asked for by state: {', '.join(BY_STATE)}.")
    snapshot = snapshots.take(site, project, same_names=True, for_page=True)
    before = cursor.changed_after
    if before is not None and before.system != snapshot.cut.system:
        before = None  # numbers of another database server say nothing about this one: all of it again
    snapshot = snapshot.filtered(Filter(before, state, since))
    bounds = Bounds(cursor.after, limit)
    read: Table = registry.TABLES[table].read(View(site, project, snapshot, bounds))
    rows = list(read.rows)
    upto = cursor.upto or snapshot.cut.mark
    walk = replace(cursor, changed_after=before, upto=upto)
    following = None if bounds.next is None else replace(walk, after=bounds.next)
    return Page(read.columns, rows, following or Cursor(changed_after=upto), following)
