"""Supplementary tables: experts' decisions, volunteers' reports and skips, answers as they first were.

People are pseudonyms in all of them, experts too. Notes are free text, as somebody wrote it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from typing import Any

from microtasks.core.values import Column
from microtasks.engine.exports.columns import (
    TableSpec,
    computed,
    contributor_field,
    file_name_field,
    in_short,
    listed,
    stored,
    table,
    task_fields,
    type_of,
)
from microtasks.engine.exports.snapshots import View
from microtasks.engine.tabular.table import Table
from microtasks.store.exports import supplements as reads


def expert(view: View, row: Mapping[str, Any]) -> str:
    """The pseudonym of who decided: somebody of this site, or an expert who came with a package."""
    who = f"account {row['account_id']}" if row["account_id"] is not None else f"expert {row['expert']}"
    return view.snapshot.pseudonyms[hashlib.blake2b(who.encode(), digest_size=16).digest()]


def filled(view: View) -> set[str]:
    """Which of these tables have a row at the snapshot."""
    with view.site.db.connection() as connection:
        return reads.filled(connection, view.snapshot.cut)


def decisions(view: View) -> Table:
    """Every decision of an expert, the earlier ones too; the last of a task stands in `consensus`."""
    fields = (
        *task_fields(view),
        stored("id", Column("decision", "integer", "Number of the decision; later ones are larger.")),
        computed(
            Column(
                "expert", "string", "Pseudonym of the expert: in one export the same person, the same text."
            ),
            lambda row: expert(view, row),
        ),
        stored(
            "role",
            Column("role", "string", "What the expert is in the project: owner, collaborator, reviewer."),
        ),
        stored(
            "choice",
            Column(
                "choice",
                "string",
                "consensus (it is right), answer (what one volunteer said), own (the expert's own answer), "
                "none (none of them is right), taken_back (as if nobody had decided).",
            ),
        ),
        computed(
            Column("value", "string", "The value that the expert decided for, in short."),
            lambda row: in_short(row["value"]),
        ),
        stored("value", Column("value_json", "json", "The same as it is stored.")),
        stored("note", Column("note", "string", "What the expert wrote about it.")),
        stored("created_at", Column("created_at", "datetime", "When it was decided, UTC.")),
        file_name_field(),
    )
    return table(fields, view.walk(reads.decisions, "id"))


def reports(view: View) -> Table:
    """What volunteers said is wrong with tasks."""
    fields = (
        *task_fields(view),
        contributor_field(view),
        stored("reason", Column("reason", "string", "What is wrong, as the volunteer chose it.")),
        stored("note", Column("note", "string", "What the volunteer wrote: read it before you publish it.")),
        stored("created_at", Column("created_at", "datetime", "When it was reported, UTC.")),
        stored(
            "closed_at",
            Column("closed_at", "datetime", "When it was ticked off, UTC; empty while it is not."),
        ),
        file_name_field(),
    )
    return table(fields, view.walk(reads.reports, "id"))


def skips(view: View) -> Table:
    """Who went past which task without an answer; it is not offered to them again."""
    fields = (
        *task_fields(view),
        contributor_field(view),
        stored("created_at", Column("created_at", "datetime", "When it was skipped, UTC.")),
        file_name_field(),
    )
    records = (
        {**row, "contributor_id": contributor, "created_at": at}
        for row in view.walk(reads.skips, "task_id")
        for contributor, at in zip(row["people"], row["times"], strict=True)
    )
    return table(fields, records)


def revisions(view: View) -> Table:
    """What an answer was before its volunteer corrected it; the version that counts is in `answers`."""
    task_type, config = type_of(view.project)
    fields = (
        *task_fields(view),
        contributor_field(view),
        stored("revision", Column("revision", "integer", "Which version of the answer: 1 is the first.")),
        stored(
            "kind",
            Column("kind", "string", "value; empty: 'nothing here'; cant_tell: looked and could not say."),
        ),
        stored("created_at", Column("created_at", "datetime", "When this version was given, UTC.")),
        *listed("own", task_type.answer_columns(config)),
        stored("value", Column("value_json", "json", "The whole value of this version.")),
        file_name_field(),
    )

    def versions() -> Iterator[Mapping[str, Any]]:
        for row in view.walk(reads.revisions, "id"):
            for version in row["earlier"]:
                yield {**row, **version, "own": task_type.answer_row(version["value"], config)}

    return table(fields, versions())


TABLES = (
    TableSpec(
        "decisions",
        "Experts' decisions",
        "What experts decided after a look, every decision with its note.",
        decisions,
        ("decision",),
    ),
    TableSpec(
        "reports",
        "Reports",
        "What volunteers said is wrong with tasks, in their words.",
        reports,
        ("task", "contributor"),
    ),
    TableSpec(
        "skips", "Skips", "Who went past which task without an answer.", skips, ("task", "contributor")
    ),
    TableSpec(
        "revisions",
        "Corrected answers",
        "What answers were before their volunteers corrected them.",
        revisions,
        ("task", "contributor", "revision"),
    ),
)
