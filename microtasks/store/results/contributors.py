"""Contributors' records in a project: how much and how well they work, and whether they are excluded."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple
from uuid import UUID

import orjson

from microtasks.store.db import Connection

CHUNK = 1_000

_RECORD = (
    "SELECT contributor_id, n_answers, skill, gold_score, n_gold, seconds, habits, is_excluded, decided_by"
    " FROM contributor_record WHERE project_id = %s"
)


def is_excluded(connection: Connection, project_id: int, contributor: UUID) -> bool:
    """Is this contributor excluded from the project's consensus?"""
    row = connection.execute(
        "SELECT is_excluded FROM contributor_record WHERE project_id = %s AND contributor_id = %s",
        (project_id, contributor),
    ).fetchone()
    return bool(row and row[0])


def excluded(connection: Connection, project_id: int) -> set[str]:
    """Contributors (hexadecimal) who are excluded from the project's consensus."""
    rows = connection.execute(
        "SELECT contributor_id FROM contributor_record WHERE project_id = %s AND is_excluded", (project_id,)
    )
    return {row[0].hex for row in rows}


class ContributorRecord(NamedTuple):
    """How one contributor works, as stored."""

    contributor: UUID
    n_answers: int
    skill: float | None
    gold_score: float | None
    n_gold: int
    seconds: float | None
    habits: list[str]
    is_excluded: bool
    decided_by: str


def records(
    connection: Connection, project_id: int, after: UUID | None = None, limit: int = CHUNK
) -> list[ContributorRecord]:
    """Contributors of a project by id, excluded ones included."""
    rows = connection.execute(
        _RECORD + " AND contributor_id > %s ORDER BY contributor_id LIMIT %s",
        (project_id, after or UUID(int=0), limit),
    )
    return [ContributorRecord(*row) for row in rows]


def page(connection: Connection, project_id: int, skip: int, limit: int) -> list[ContributorRecord]:
    """Contributors for a page: excluded and suspicious ones first, then those who gave most."""
    rows = connection.execute(
        _RECORD
        + " ORDER BY is_excluded DESC, habits = '[]', n_answers DESC, contributor_id OFFSET %s LIMIT %s",
        (project_id, skip, limit),
    )
    return [ContributorRecord(*row) for row in rows]


def set_excluded(connection: Connection, project_id: int, contributor: UUID, *, is_excluded: bool) -> bool:
    """Store the owner's decision on a contributor; False when they have no record."""
    return (
        connection.execute(
            "UPDATE contributor_record SET is_excluded = %s, decided_by = 'owner', updated_at = now()"
            " WHERE project_id = %s AND contributor_id = %s",
            (is_excluded, project_id, contributor),
        ).rowcount
        == 1
    )


class ContributorReview(NamedTuple):
    """What a review says of one contributor."""

    contributor: UUID
    n_answers: int
    skill: float | None
    gold_score: float | None
    n_gold: int
    seconds: float | None
    habits: Sequence[str]
    tables: Mapping[str, Any]
    lost: Sequence[str]


def put(
    connection: Connection, project_id: int, judged: Sequence[ContributorReview], *, has_tables: bool = True
) -> None:
    """Store what a review says. A habit leaves a contributor out, unless the owner has decided.

    has_tables: otherwise those of the last review stay.
    """
    for start in range(0, len(judged), CHUNK):
        connection.execute(
            """INSERT INTO contributor_record (project_id, contributor_id, n_answers, skill, gold_score,
                   n_gold, seconds, habits, tables, lost, is_excluded, decided_by)
               SELECT %(project)s, u.contributor_id, u.n_answers, u.skill, u.gold_score, u.n_gold, u.seconds,
                      u.habits, u.tables, u.lost, u.habits <> '[]', 'rule'
               FROM jsonb_to_recordset(%(rows)s::jsonb)
                   AS u (contributor_id uuid, n_answers int, skill float8, gold_score float8, n_gold int,
                         seconds float8, habits jsonb, tables jsonb, lost jsonb)
               ORDER BY u.contributor_id
               ON CONFLICT (project_id, contributor_id) DO UPDATE SET
                   n_answers = excluded.n_answers, skill = excluded.skill, gold_score = excluded.gold_score,
                   n_gold = excluded.n_gold, seconds = excluded.seconds, habits = excluded.habits,
                   tables = CASE WHEN %(has_tables)s THEN excluded.tables ELSE contributor_record.tables END,
                   lost = CASE WHEN %(has_tables)s THEN excluded.lost ELSE contributor_record.lost END,
                   updated_at = now(),
                   is_excluded = CASE contributor_record.decided_by WHEN 'owner'
                                 THEN contributor_record.is_excluded ELSE excluded.is_excluded END""",
            {"project": project_id, "has_tables": has_tables, "rows": _rows(judged[start : start + CHUNK])},
        )


def _rows(judged: Sequence[ContributorReview]) -> str:
    return orjson.dumps([{**item._asdict(), "contributor_id": item.contributor} for item in judged]).decode()


def confusion_tables(
    connection: Connection, project_id: int, contributors: Sequence[UUID]
) -> list[tuple[UUID, dict[str, Any], list[str]]]:
    """What the model knows of these contributors: tables by field, and the fields they are lost in."""
    return connection.execute(
        "SELECT contributor_id, tables, lost FROM contributor_record"
        " WHERE project_id = %s AND contributor_id = ANY(%s)",
        (project_id, list(contributors)),
    ).fetchall()
