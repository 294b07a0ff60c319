"""Tables of what volunteers gave: every answer, every mark, and how much each contributor did."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from microtasks.core.parsing.lists import join_list
from microtasks.core.values import Column
from microtasks.engine.exports.columns import (
    CONTRIBUTOR,
    Field,
    TableSpec,
    computed,
    contributor_field,
    file_name_field,
    listed,
    project_field,
    stored,
    table,
    table_of_chunks,
    task_fields,
    tile_fields,
    type_of,
)
from microtasks.engine.exports.snapshots import View
from microtasks.engine.tabular.table import Table
from microtasks.engine.tabular.vectors import Moments, Same, Vector
from microtasks.store.exports import reads

if TYPE_CHECKING:
    from microtasks.store.exports.answer_arrays import Answers


def answers(view: View) -> Table:
    """Every answer as it was given, surplus ones and checks included (see `status`)."""
    task_type, config = type_of(view.project)
    keys = task_type.picks(config)
    project, number, external_id = (field.column for field in task_fields(view))

    def own(nth: int) -> Field:
        return Field(
            task_type.answer_columns(config)[nth], lambda chunk: _own_values(task_type, config, chunk)[nth]
        )

    fields = (
        Field(project, lambda chunk: Same(view.project.slug, chunk.n)),
        Field(number, lambda chunk: chunk.tasks),
        Field(external_id, lambda chunk: chunk.external_ids),
        Field(
            CONTRIBUTOR,
            lambda chunk: list(map(view.snapshot.pseudonyms.__getitem__, chunk.contributors)),
        ),
        Field(
            Column(
                "kind",
                "string",
                "value; empty: 'nothing here', a value too; cant_tell: looked and could not say.",
            ),
            lambda chunk: chunk.kinds,
        ),
        Field(
            Column(
                "status",
                "string",
                "counted; surplus: came late, all seats taken; check: a known task shown once more; "
                "excluded: counted, but its volunteer is excluded, so the consensus leaves it out.",
            ),
            lambda chunk: chunk.statuses,
        ),
        Field(
            Column("created_at", "datetime", "When the answer arrived, UTC."),
            lambda chunk: Moments(chunk.created),
        ),
        Field(
            Column(
                "seconds_spent", "number", "Time on the task, as the volunteer's browser measured it.", "s"
            ),
            _seconds,
        ),
        Field(
            Column(
                "revision",
                "integer",
                "1, or more when the volunteer corrected the answer; this is the last version.",
            ),
            lambda chunk: chunk.revisions,
        ),
        *map(own, range(len(task_type.answer_columns(config)))),
        Field(
            Column("revised_at", "datetime", "When the volunteer last corrected the answer, UTC."),
            lambda chunk: Moments(chunk.revised),
        ),
        Field(
            Column("config_version", "integer", "Which version of the project's wording was shown."),
            lambda chunk: chunk.config_versions,
        ),
        Field(file_name_field().column, lambda chunk: chunk.file_names),
    )
    return table_of_chunks(fields, view.answer_chunks(keys))


def _own_values(task_type: Any, config: Any, chunk: Answers) -> list[Vector]:
    """The type's own columns of a chunk, made once for all of them."""
    if chunk.own_values is None:
        if chunk.keys is None:
            made = [task_type.answer_row(value, config) for value in chunk.picked[0]]
            chunk.own_values = [list(column) for column in zip(*made, strict=True)]
        else:
            chunk.own_values = [
                [join_list(item) if type(item) is list else item for item in column]
                for column in chunk.picked
            ]
    return chunk.own_values


def _seconds(chunk: Answers) -> Vector:
    import numpy as np  # here: the web process does without until somebody exports

    seconds: list[float | None] = chunk.seconds.tolist()
    for place in np.flatnonzero(np.isnan(chunk.seconds)):
        seconds[place] = None
    return seconds


def marks(view: View) -> Table:
    """Every mark of every answer, one a row, in pixels of the task's own image."""
    task_type, config = type_of(view.project)
    fields = (
        *task_fields(view),
        contributor_field(view),
        *listed("mark", task_type.mark_columns(config)),
        *(tile_fields() if view.has_tiles else ()),
        stored("status", Column("status", "string", "The status of the answer: counted, surplus or check.")),
        file_name_field(),
    )
    records = (
        {**row, "mark": mark}
        for row in view.walk(reads.answers, "id")
        for mark in task_type.mark_rows(row["value"], config)
    )
    return table(fields, records)


def contributors(view: View) -> Table:
    """What each anonymous volunteer gave; nothing here says who they are."""
    fields = (
        project_field(view),
        contributor_field(view),
        stored("n_answers", Column("n_answers", "integer", "Answers in this project.")),
        stored("n_counted", Column("n_counted", "integer", "Of these, counted ones.")),
        stored("n_cant_tell", Column("n_cant_tell", "integer", "Of these, 'I can't tell'.")),
        stored(
            "seconds_spent",
            Column("seconds_spent", "number", "Time on tasks in all, as browsers measured it.", "s"),
        ),
        stored("first_at", Column("first_at", "datetime", "First answer, UTC.")),
        stored("last_at", Column("last_at", "datetime", "Last answer, UTC.")),
        stored(
            "skill",
            Column("skill", "number", "Agreement with the consensus, shrunk to the crowd's mean.", "0..1"),
        ),
        stored(
            "gold_score",
            Column("gold_score", "number", "Likewise with known tasks; empty: they met none.", "0..1"),
        ),
        computed(
            Column(
                "habits",
                "string",
                "Suspicious patterns, joined by |; see the guide to consensus.",
            ),
            lambda row: join_list(row["habits"] or ()),
        ),
        computed(
            Column("is_excluded", "boolean", "Excluded: the consensus leaves their answers out."),
            lambda row: bool(row["is_excluded"]),
        ),
    )
    return table(fields, view.contributors())


TABLES = (
    TableSpec(
        "answers",
        "Answers",
        "Every single answer: to run your own analysis.",
        answers,
        ("task", "contributor"),
    ),
    TableSpec(
        "marks",
        "Marks",
        "Every mark of every volunteer, one a row, in pixels of the task's image.",
        marks,
        ("task", "contributor", "mark"),
    ),
    TableSpec(
        "contributors",
        "Contributors",
        "How much each anonymous volunteer gave.",
        contributors,
        ("contributor",),
    ),
)
