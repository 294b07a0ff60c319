"""Exports: a table (what), read here, written in a format (how: `formats.py`), streamed. Both are registries.

A table is a tuple of columns (each with its line in the code book) and an iterator of rows. It is read by key
in short transactions, so memory is flat and volunteers do not notice.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from microtasks.core.errors import InputError
from microtasks.core.values import Column, Consensus, Part
from microtasks.engine.exports import snapshots, supplements
from microtasks.engine.exports.codebook import (
    CONTRIBUTOR,
    EXTERNAL_ID,
    PROJECT,
    TASK,
    TILE,
    What,
    distinct,
    in_short,
    type_of,
)
from microtasks.engine.exports.interchange import TOOLS
from microtasks.engine.exports.snapshots import Bounds, Snapshot, View
from microtasks.engine.site import Site
from microtasks.engine.tabular.formats import PLAIN, File, Format, Source, Table, write_csv
from microtasks.engine.tabular.vectors import Block, Moments, Same, Vector, rows
from microtasks.store.exports import reads
from microtasks.store.exports.snapshots import Cut
from microtasks.store.tables import Project

if TYPE_CHECKING:
    from microtasks.store.exports import answer_columns


def export(
    site: Site,
    project: Project,
    what: str | None,
    format: str = "csv",
    *,
    raw: bool = False,
    snapshot: Snapshot | None = None,
) -> Iterator[bytes]:
    """Stream one table of a project in one format: the first of its `files`."""
    return files(site, project, what, format, raw=raw, snapshot=snapshot)[0].chunks


def files(
    site: Site,
    project: Project,
    what: str | None,
    format: str = "csv",
    *,
    raw: bool = False,
    snapshot: Snapshot | None = None,
) -> list[File]:
    """The files of one export, streamed, the main one first. InputError at once for what cannot be given.

    what: None for the format's own. raw: leave texts in CSV exactly as they are; otherwise those that a
    spreadsheet would take for a formula get a ' in front (`defuse`). snapshot: which state; None: the
    present one.
    """
    writer, table, config, parts = check(site, project, what, format)
    what = table.name
    view = View(site, project, snapshot or snapshots.take(site, project))
    if writer.files is not None:
        return writer.files(Source(view, project.id, config, parts, what, raw))
    found = table.read(view)
    chunks = write_csv(found, raw=raw) if format == "csv" else _writer(writer)(found)
    columns = found.columns if writer.name != "crowdkit" else ()
    return [File(f"{project.slug}-{what}{writer.suffix}", writer.mime, chunks, what, columns)]


def check(
    site: Site, project: Project, what: str | None, format: str
) -> tuple[Format, What, Any, tuple[Part, ...]]:
    """What an export is made of: format, table, the type's config and parts. InputError for what is not."""
    writer = FORMATS.get(format)
    if writer is None:
        raise InputError(f"There is no export format {format!r}. There are: {', '.join(FORMATS)}.")
    what = what or usual(format)
    table = WHATS.get(what)
    if table is None:
        raise InputError(f"There is no export called {what!r}. There are: {', '.join(WHATS)}.")
    task_type, config = type_of(project)
    parts = task_type.parts(config)
    if what in ("marks", "sources") and not task_type.mark_columns(config):
        raise InputError("This project's tasks have no marks to export.")
    if not writer.fits(parts):
        fitting = ", ".join(one.name for one in FORMATS.values() if one.fits(parts))
        kind = task_type.label.lower()
        raise InputError(f"The format {format} does not fit this {kind} project. These do: {fitting}.")
    if writer.whats and what not in writer.whats:
        raise InputError(f"The format {format} is for: {', '.join(writer.whats)}; not for {what}.")
    if lack := writer.lacks(site, project.id):
        raise InputError(lack)
    return writer, table, config, parts


@dataclass(frozen=True, slots=True)
class Page:
    """Some rows of a table. last: the key to read on behind another day; next: the same, None at the end."""

    columns: tuple[Column, ...]
    rows: list[tuple[Any, ...]]
    last: Any
    next: Any


def page(site: Site, project: Project, what: str, after: Any, limit: int) -> Page:
    """The rows of a table that belong to `limit` keys behind `after` (None: from its beginning).

    Keys are answers, tasks, contributors or big images: one may give several rows, or none. Each page is the
    present state, but no later one can hold an answer with a smaller number: who reads on misses none.
    Contributors have the same names in every page. InputError.
    """
    if what not in WHATS:
        raise InputError(f"There is no table called {what!r}. There are: {', '.join(WHATS)}.")
    bounds = Bounds(after, limit)
    table = WHATS[what].read(View(site, project, snapshots.take(site, project, same_names=True), bounds))
    rows = list(table.rows)
    return Page(table.columns, rows, bounds.last, bounds.next)


def usual(format: str) -> str:
    """The table that a format gives if none is named."""
    return next(iter(FORMATS[format].whats), "answers")


def file_name(project: Project, what: str, format: str) -> str:
    """The name of the one file a person gets: a ZIP where there are several."""
    return f"{project.slug}-{what}{FORMATS[format].suffix}"


def formats(site: Site, project: Project) -> list[Format]:
    """The formats that this project can be had in."""
    task_type, config = type_of(project)
    parts = task_type.parts(config)
    return [one for one in FORMATS.values() if one.fits(parts) and not one.lacks(site, project.id)]


def key_of(project: Project, what: str) -> tuple[str, ...]:
    """The columns that tell the rows of a table apart; () where there are none."""
    own = type_of(project)[0].row_key if what == "consensus" else ()
    return () if own is None else (*WHATS[what].key, *own)


def _writer(format: Format) -> Callable[[Table], Iterator[bytes]]:
    if format.write is None:
        raise ValueError(f"the format {format.name} writes no table")
    return format.write


def code_book(site: Site, project: Project) -> dict[str, tuple[Column, ...]]:
    """The columns of every table of this project, with type, unit and meaning."""
    view = View(site, project, snapshots.of_cut(site, Cut(project.id, 0, datetime.now(UTC), "0")))
    return {what.name: what.read(view).columns for what in whats(site, project)}


def code_book_csv(site: Site, project: Project) -> bytes:
    """The code book as a file: table, column, type, unit, meaning."""
    columns = tuple(Column(name, "string", "") for name in ("table", "column", "type", "unit", "meaning"))
    rows = (
        (table, column.name, column.type, column.unit, column.meaning)
        for table, listed in code_book(site, project).items()
        for column in listed
    )
    return b"".join(write_csv(Table(columns, rows)))


def whats(site: Site, project: Project) -> list[What]:
    """The tables that make sense for this project: most are left out where there is nothing for them."""
    task_type, config = type_of(project)
    left_out = {what.name for what in supplements.WHATS} - supplements.there(site, project)
    if not task_type.mark_columns(config):
        left_out |= {"marks", "sources"}
    elif not _has_sources(site, project):
        left_out |= {"sources"}
    return [what for what in WHATS.values() if what.name not in left_out]


# -- what ---------------------------------------------------------------------------------------------

DECISION = (
    Column(
        "decision",
        "string",
        "What an expert decided after a look, beside the crowd's value: consensus (it is right), answer "
        "(what one volunteer said), own (the expert's own answer), none (nothing of it); empty if nobody "
        "decided, or it was taken back.",
    ),
    Column("decision_value", "string", "The value that the expert decided for, in short, as `value` is."),
    Column("decided_by_role", "string", "What the expert is in the project: owner, collaborator, reviewer."),
    Column("decided_at", "datetime", "When the expert decided, UTC; the last decision counts."),
)
ANSWER_COLUMNS = (
    PROJECT,
    TASK,
    EXTERNAL_ID,
    CONTRIBUTOR,
    Column(
        "kind", "string", "value; empty: 'nothing here', a value too; cant_tell: looked and could not say."
    ),
    Column(
        "status",
        "string",
        "counted; surplus: came late, all seats taken; check: a known task shown once more; excluded: "
        "counted, but its volunteer was left out, so it weighs nothing.",
    ),
    Column("created_at", "datetime", "When the answer arrived, UTC."),
    Column("seconds_spent", "number", "Time on the task, as the volunteer's browser measured it.", "s"),
    Column(
        "revision", "integer", "1, or more when the volunteer corrected the answer; this is the last version."
    ),
)


def answers(view: View) -> Table:
    """Every answer as it was given, surplus ones and checks included (see `status`)."""
    task_type, config = type_of(view.project)
    columns = (
        *ANSWER_COLUMNS,
        *task_type.answer_columns(config),
        Column("revised_at", "datetime", "When the volunteer last corrected the answer, UTC."),
        Column("config_version", "integer", "Which version of the project's wording was shown."),
    )
    keys = task_type.picks(config)

    def own(found: answer_columns.Answers) -> list[Vector]:
        """The type's own columns."""
        if keys is None:
            made = [task_type.answer_row(value, config) for value in found.picked[0]]
            return [list(column) for column in zip(*made, strict=True)]
        return [
            ["|".join(item) if type(item) is list else item for item in column] for column in found.picked
        ]

    def some(row: reads.Row) -> tuple[Any, ...]:
        """A row as the blocks hold it, for one page."""
        name = view.snapshot.name(row["contributor_id"])
        return (
            *(view.project.slug, row["task_id"], row["external_id"], name, row["kind"], row["status"]),
            *(row["created_at"], row["seconds_spent"], row["revision"]),
            *task_type.answer_row(row["value"], config),
            *(row["revised_at"], row["config_version"]),
        )

    if view.bounds is not None:
        return Table(distinct(columns), map(some, view.walk(reads.answers, "id")))

    def blocks() -> Iterator[Block]:
        import numpy as np  # here: the web process does without until somebody exports

        from microtasks.store.exports import answer_columns

        for found in answer_columns.walk(view.site.db, view.snapshot.cut, keys):
            view.snapshot.passed(found.n)
            seconds: list[float | None] = found.seconds.tolist()
            for place in np.flatnonzero(np.isnan(found.seconds)):
                seconds[place] = None
            yield (
                *(Same(view.project.slug, found.n), found.tasks, found.external_ids),
                list(map(view.snapshot.names.__getitem__, found.contributors)),
                *(found.kinds, found.statuses, Moments(found.created), seconds, found.revisions),
                *own(found),
                *(Moments(found.revised), found.config_versions),
            )

    made = blocks()
    return Table(distinct(columns), rows(made), made)


def marks(view: View) -> Table:
    """Every mark of every answer, one a row, in pixels of the task's own image."""
    task_type, config = type_of(view.project)
    columns = task_type.mark_columns(config)
    name = view.snapshot.name
    tile = _tile_columns(view)
    all_columns = (
        *(PROJECT, TASK, EXTERNAL_ID, CONTRIBUTOR, *columns, *tile),
        Column("status", "string", "The status of the answer: counted, surplus or check."),
    )
    rows = (
        (
            *(view.project.slug, row["task_id"], row["external_id"], name(row["contributor_id"]), *mark),
            *_tile(row, tile),
            row["status"],
        )
        for row in view.walk(reads.answers, "id")
        for mark in task_type.mark_rows(row["value"], config)
    )
    return Table(distinct(all_columns), rows)


def consensus(view: View) -> Table:
    """What the answers add up to, as the type writes it: a row a task, a tag or a mark."""
    task_type, config = type_of(view.project)
    tile = _tile_columns(view)
    columns = (
        PROJECT,
        TASK,
        EXTERNAL_ID,
        Column(
            "value",
            "string",
            "The consensus in short; a list is joined by |, marks are counted; empty if none.",
        ),
        Column("agreement", "number", "Share of counted answers that support it.", "0..1"),
        Column(
            "confidence", "number", "Probability that it is right; empty where the method gives none.", "0..1"
        ),
        Column("n_answers", "integer", "Counted answers that it rests on."),
        Column("retired_at", "datetime", "When the task needed no more answers, UTC; empty while it does."),
        Column("retirement_reason", "string", "consensus, redundancy (all answers are in) or withdrawn."),
        Column("reducer", "string", "Name and version of the method."),
        *task_type.columns(config),
        Column(
            "stopped",
            "string",
            "Where tasks stop when sure: sure; disputed (all answers are in and it is not sure: look "
            "yourself); full (all answers were needed); empty while it goes on.",
        ),
        Column("is_audit", "boolean", "It was sure and got all answers all the same, as an audit."),
        *tile,
        *DECISION,
    )

    def rows() -> Iterator[tuple[Any, ...]]:
        for row in view.walk(reads.consensus, "task_id"):
            if row["n_reduced"] is None:
                continue  # its first answers are later than the snapshot
            found = Consensus(
                value=row["value"],
                agreement=row["agreement"],
                confidence=row["confidence"],
                n_answers=row["n_reduced"],
                is_tied=row["is_tied"],
                detail=row["detail"],
                reducer=row["reducer"],
                parameters=row["parameters"],
            )
            common = (
                *(
                    view.project.slug,
                    row["task_id"],
                    row["external_id"],
                    in_short(row["value"]),
                    row["agreement"],
                ),
                *(
                    row["confidence"],
                    row["n_reduced"],
                    row["retired_at"],
                    row["retirement_reason"],
                    row["reducer"],
                ),
            )
            for own in task_type.rows(found, config):
                yield (*common, *own, row["stopped"], row["is_audit"], *_tile(row, tile), *_decision(row))

    return Table(distinct(columns), rows())


def tasks(view: View) -> Table:
    """Every task: content and state. The owner's own columns follow as meta_, hidden_ and after_."""
    with view.site.db.connection() as connection:
        own = reads.metadata_names(connection, view.project.id)
    columns = (
        PROJECT,
        TASK,
        EXTERNAL_ID,
        Column("batch", "integer", "The upload that it came with."),
        Column("state", "string", "open, or retired: it needs no more answers."),
        Column("n_answers", "integer", "Counted answers so far."),
        Column("redundancy", "integer", "Answers it may get at most."),
        Column("retired_at", "datetime", "When it needed no more answers, UTC."),
        Column("retirement_reason", "string", "consensus, redundancy (all answers are in) or withdrawn."),
        Column("agreement", "number", "Agreement of its consensus so far.", "0..1"),
        Column("confidence", "number", "Confidence of its consensus so far.", "0..1"),
        Column("is_gold", "boolean", "Is its right answer known?"),
        Column("text", "string", "The text shown."),
        Column("question", "string", "The question shown, if it has its own."),
        Column("image_sha256", "string", "SHA-256 of the (first) image's file, hexadecimal."),
        Column("image_width", "integer", "Width of the image as shown upright.", "px"),
        Column("image_height", "integer", "Height of the image as shown upright.", "px"),
        *TILE,
        *(
            Column(f"meta_{name}", "string", "Column of the owner, shown with the task.")
            for name in own["metadata"]
        ),
        *(Column(f"hidden_{name}", "string", "Column of the owner, never shown.") for name in own["hidden"]),
        *(
            Column(f"after_{name}", "string", "Column of the owner, shown after answering.")
            for name in own["after"]
        ),
    )
    rows = (
        (
            *(view.project.slug, row["task_id"], row["external_id"], row["batch_id"]),
            "open" if row["retired_at"] is None else "retired",
            *(row["n_answers"], row["redundancy"], row["retired_at"], row["retirement_reason"]),
            *(row["agreement"], row["confidence"], row["is_gold"]),
            *(row["payload"].get("text"), row["payload"].get("question")),
            *(row["image_sha256"], row["width"], row["height"], *_tile(row, TILE)),
            *(row["payload"].get("metadata", {}).get(name) for name in own["metadata"]),
            *(row["hidden"].get(name) for name in own["hidden"]),
            *(row["after"].get(name) for name in own["after"]),
        )
        for row in view.walk(reads.tasks, "task_id")
    )
    return Table(distinct(columns), rows)


def contributors(view: View) -> Table:
    """What each anonymous volunteer gave; nothing here says who they are."""
    name = view.snapshot.name
    columns = (
        PROJECT,
        CONTRIBUTOR,
        Column("n_answers", "integer", "Answers in this project."),
        Column("n_counted", "integer", "Of these, counted ones."),
        Column("n_cant_tell", "integer", "Of these, 'I can't tell'."),
        Column("seconds_spent", "number", "Time on tasks in all, as browsers measured it.", "s"),
        Column("first_at", "datetime", "First answer, UTC."),
        Column("last_at", "datetime", "Last answer, UTC."),
        Column("skill", "number", "Agreement with the consensus, drawn to the crowd's mean.", "0..1"),
        Column("gold_score", "number", "Likewise with known tasks; empty: they met none.", "0..1"),
        Column("habits", "string", "What no real work looks like, joined by |; see the guide to consensus."),
        Column("is_excluded", "boolean", "Left out: their answers weigh nothing in the consensus."),
    )
    rows = (
        (
            *(
                view.project.slug,
                name(row["contributor_id"]),
                row["n_answers"],
                row["n_counted"],
                row["n_cant_tell"],
            ),
            *(row["seconds_spent"], row["first_at"], row["last_at"]),
            *(row["skill"], row["gold_score"], "|".join(row["habits"] or ()), bool(row["is_excluded"])),
        )
        for row in view.walk(reads.contributors, "contributor_id")
    )
    return Table(columns, rows)


def sources(view: View) -> Table:
    """Consensus marks of tiled images, merged across the tiles' borders, in the big image's pixels."""
    task_type, config = type_of(view.project)
    own = task_type.columns(config)
    columns = (
        PROJECT,
        Column("source", "string", "The big image, by the owner's id or file name."),
        *own,
        Column("reducer", "string", "Name and version of the method."),
        Column("updated_at", "datetime", "When the tiles were last merged, UTC."),
    )

    def rows() -> Iterator[tuple[Any, ...]]:
        for row in view.walk(reads.sources, "source"):
            found = Consensus(None, 0.0, None, 0, detail=row["detail"], reducer=row["reducer"])
            for mark in task_type.rows(found, config):
                yield (view.project.slug, row["source"], *mark, row["reducer"], row["updated_at"])

    return Table(distinct(columns), rows())


WHATS: dict[str, What] = {
    what.name: what
    for what in (
        What(
            "answers",
            "Answers",
            "Every single answer: to run your own analysis.",
            answers,
            ("task", "contributor"),
        ),
        What(
            "consensus",
            "Consensus",
            "What the answers add up to, with agreement: the results.",
            consensus,
            ("task",),
        ),
        What(
            "marks",
            "Marks",
            "Every mark of every volunteer, one a row, in pixels of the task's image.",
            marks,
            ("task", "contributor", "mark"),
        ),
        What("tasks", "Tasks", "Every task with its state and your own columns.", tasks, ("task",)),
        What(
            "contributors",
            "Contributors",
            "How much each anonymous volunteer gave.",
            contributors,
            ("contributor",),
        ),
        What(
            "sources",
            "Merged catalogue",
            "Marks of big images, merged across the borders of their tiles.",
            sources,
        ),
        *supplements.WHATS,
    )
}

FORMATS: dict[str, Format] = {format.name: format for format in (*PLAIN, *TOOLS)}


def _has_sources(site: Site, project: Project) -> bool:
    with site.db.connection() as connection:
        return reads.has_sources(connection, project.id)


def _decision(row: reads.Row) -> tuple[Any, ...]:
    return (row["decision"], in_short(row["decided"]), row["decided_by_role"], row["decided_at"])


def _tile_columns(view: View) -> tuple[Column, ...]:
    with view.site.db.connection() as connection:
        return TILE if reads.has_tiles(connection, view.project.id) else ()


def _tile(row: reads.Row, columns: tuple[Column, ...]) -> tuple[Any, ...]:
    return (row["source"], row["source_x"], row["source_y"]) if columns else ()
