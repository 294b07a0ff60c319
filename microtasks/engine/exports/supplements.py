"""Tables of what stands beside the answers: experts' decisions, reports, skips, answers as they first were.

People are pseudonyms in all of them, experts too. Notes are free text, as somebody wrote it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from typing import Any

from microtasks.core.values import Column
from microtasks.engine.exports.codebook import (
    CONTRIBUTOR,
    EXTERNAL_ID,
    PROJECT,
    TASK,
    What,
    distinct,
    in_short,
    type_of,
)
from microtasks.engine.exports.snapshots import View
from microtasks.engine.site import Site
from microtasks.engine.tabular.formats import Table
from microtasks.store.exports import supplements as stored
from microtasks.store.tables import Project


def expert(view: View, row: Mapping[str, Any]) -> str:
    """The pseudonym of who decided: somebody of this site, or an expert who came with a package."""
    who = f"account {row['account_id']}" if row["account_id"] is not None else f"expert {row['expert']}"
    return view.snapshot.names[hashlib.blake2b(who.encode(), digest_size=16).digest()]


def there(site: Site, project: Project) -> set[str]:
    """Which of these tables have a row in this project."""
    with site.db.connection() as connection:
        return stored.there(connection, project.id)


def decisions(view: View) -> Table:
    """Every decision of an expert, the earlier ones too; the last of a task stands in `consensus`."""
    columns = (
        *(PROJECT, TASK, EXTERNAL_ID),
        Column("decision", "integer", "Number of the decision; later ones are larger."),
        Column("expert", "string", "Pseudonym of the expert: in one export the same person, the same text."),
        Column("role", "string", "What the expert is in the project: owner, collaborator, reviewer."),
        Column(
            "choice",
            "string",
            "consensus (it is right), answer (what one volunteer said), own (the expert's own answer), none "
            "(none of them is right), taken_back (as if nobody had decided).",
        ),
        Column("value", "string", "The value that the expert decided for, in short."),
        Column("value_json", "json", "The same as it is stored."),
        Column("note", "string", "What the expert wrote beside it."),
        Column("created_at", "datetime", "When it was decided, UTC."),
    )
    rows = (
        (
            *(view.project.slug, row["task_id"], row["external_id"], row["id"], expert(view, row)),
            *(row["role"], row["choice"], in_short(row["value"]), row["value"]),
            *(row["note"], row["created_at"]),
        )
        for row in view.walk(stored.decisions, "id")
    )
    return Table(columns, rows)


def reports(view: View) -> Table:
    """What volunteers said is wrong with tasks."""
    columns = (
        *(PROJECT, TASK, EXTERNAL_ID, CONTRIBUTOR),
        Column("reason", "string", "What is wrong, as the volunteer chose it."),
        Column("note", "string", "What the volunteer wrote: read it before you publish it."),
        Column("created_at", "datetime", "When it was reported, UTC."),
        Column("closed_at", "datetime", "When it was ticked off, UTC; empty while it is not."),
    )
    name = view.snapshot.name
    rows = (
        (
            *(view.project.slug, row["task_id"], row["external_id"], name(row["contributor_id"])),
            *(row["reason"], row["note"], row["created_at"], row["closed_at"]),
        )
        for row in view.walk(stored.reports, "id")
    )
    return Table(columns, rows)


def skips(view: View) -> Table:
    """Who went past which task without an answer; it is not offered to them again."""
    columns = (
        *(PROJECT, TASK, EXTERNAL_ID, CONTRIBUTOR),
        Column("created_at", "datetime", "When it was skipped, UTC."),
    )
    rows = (
        (view.project.slug, row["task_id"], row["external_id"], view.snapshot.name(who), at)
        for row in view.walk(stored.skips, "task_id")
        for who, at in zip(row["people"], row["times"], strict=True)
    )
    return Table(columns, rows)


def revisions(view: View) -> Table:
    """What an answer was before its volunteer corrected it; the version that counts is in `answers`."""
    task_type, config = type_of(view.project)
    columns = (
        *(PROJECT, TASK, EXTERNAL_ID, CONTRIBUTOR),
        Column("revision", "integer", "Which version of the answer: 1 is the first."),
        Column("kind", "string", "value; empty: 'nothing here'; cant_tell: looked and could not say."),
        Column("created_at", "datetime", "When this version was given, UTC."),
        *task_type.answer_columns(config),
        Column("value_json", "json", "The whole value of this version."),
    )

    def made() -> Iterator[tuple[Any, ...]]:
        for row in view.walk(stored.revisions, "id"):
            known = (view.project.slug, row["task_id"], row["external_id"])
            who = view.snapshot.name(row["contributor_id"])
            for one in row["earlier"]:
                own = task_type.answer_row(one["value"], config)
                facts = (one["revision"], one["kind"], one["created_at"])
                yield (*known, who, *facts, *own, one["value"])

    return Table(distinct(columns), made())


WHATS = (
    What(
        "decisions",
        "Experts' decisions",
        "What experts decided after a look, every decision with its note.",
        decisions,
        ("decision",),
    ),
    What(
        "reports",
        "Reports",
        "What volunteers said is wrong with tasks, in their words.",
        reports,
        ("task", "contributor"),
    ),
    What("skips", "Skips", "Who went past which task without an answer.", skips, ("task", "contributor")),
    What(
        "revisions",
        "Corrected answers",
        "What answers were before their volunteers corrected them.",
        revisions,
        ("task", "contributor", "revision"),
    ),
)
