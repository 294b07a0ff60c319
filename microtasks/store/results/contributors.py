"""Contributors' standing in a project, what the last review found, what "stop when sure" said of tasks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

import orjson
from psycopg.types.json import Jsonb

from microtasks.store.db import Connection

CHUNK = 1_000

_RECORD = (
    "SELECT contributor_id, n_answers, skill, gold_score, n_gold, seconds, habits, is_excluded, decided_by"
    " FROM contributor_record WHERE project_id = %s"
)


def is_excluded(connection: Connection, project_id: int, contributor: UUID) -> bool:
    """Do this contributor's answers weigh nothing in the project?"""
    row = connection.execute(
        "SELECT is_excluded FROM contributor_record WHERE project_id = %s AND contributor_id = %s",
        (project_id, contributor),
    ).fetchone()
    return bool(row and row[0])


def excluded(connection: Connection, project_id: int) -> set[str]:
    """Contributors (hexadecimal) whose answers weigh nothing in the project."""
    rows = connection.execute(
        "SELECT contributor_id FROM contributor_record WHERE project_id = %s AND is_excluded", (project_id,)
    )
    return {row[0].hex for row in rows}


class Record(NamedTuple):
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
) -> list[Record]:
    """Contributors of a project by id; those left out and those with a habit are no exception."""
    rows = connection.execute(
        _RECORD + " AND contributor_id > %s ORDER BY contributor_id LIMIT %s",
        (project_id, after or UUID(int=0), limit),
    )
    return [Record(*row) for row in rows]


def page(connection: Connection, project_id: int, skip: int, limit: int) -> list[Record]:
    """Contributors for a page: those with a habit or left out first, then who gave most."""
    rows = connection.execute(
        _RECORD
        + " ORDER BY is_excluded DESC, habits = '[]', n_answers DESC, contributor_id OFFSET %s LIMIT %s",
        (project_id, skip, limit),
    )
    return [Record(*row) for row in rows]


def decide(connection: Connection, project_id: int, contributor: UUID, *, is_excluded: bool) -> bool:
    """Store the owner's word on a contributor; False when they have no record."""
    return (
        connection.execute(
            "UPDATE contributor_record SET is_excluded = %s, decided_by = 'owner', updated_at = now()"
            " WHERE project_id = %s AND contributor_id = %s",
            (is_excluded, project_id, contributor),
        ).rowcount
        == 1
    )


class Judged(NamedTuple):
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
    connection: Connection, project_id: int, judged: Sequence[Judged], *, has_tables: bool = True
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


def _rows(judged: Sequence[Judged]) -> str:
    return orjson.dumps([{**item._asdict(), "contributor_id": item.contributor} for item in judged]).decode()


class Quality(NamedTuple):
    """What the last review of a project found."""

    agreement: dict[str, Any]
    made_at: datetime
    replay: dict[str, Any]


def quality(connection: Connection, project_id: int) -> Quality | None:
    """The last review; None before the first."""
    row = connection.execute(
        "SELECT agreement, made_at, replay FROM project_quality WHERE project_id = %s", (project_id,)
    ).fetchone()
    return Quality(*row) if row else None


def put_quality(
    connection: Connection, project_id: int, agreement: Mapping[str, Any], model: Mapping[str, Any]
) -> None:
    """Store what a review found, in place of the last one."""
    connection.execute(
        """INSERT INTO project_quality (project_id, agreement, model) VALUES (%s, %s, %s)
           ON CONFLICT (project_id) DO UPDATE
           SET agreement = excluded.agreement, model = excluded.model, made_at = clock_timestamp()""",
        (project_id, Jsonb(agreement), Jsonb(model)),
    )


def put_replay(connection: Connection, project_id: int, replay: Mapping[str, Any]) -> None:
    """Store what other settings would have needed, in a project that was reviewed."""
    connection.execute(
        "UPDATE project_quality SET replay = %s WHERE project_id = %s", (Jsonb(replay), project_id)
    )


class Model(NamedTuple):
    """The model that stopping goes by. made_at: which review made it; fields: None where that is known."""

    made_at: datetime | None
    fields: dict[str, Any] | None
    redundancy: int
    is_gold: bool


def model(connection: Connection, project_id: int, task_id: int, known: datetime | None) -> Model:
    """The project's model, without its tables if they are those of the review `known`; is the task gold?"""
    row = connection.execute(
        """SELECT q.made_at, CASE WHEN q.made_at IS DISTINCT FROM %(known)s THEN q.model END, p.redundancy,
                  EXISTS (SELECT 1 FROM task_gold WHERE task_id = %(task)s)
           FROM project p LEFT JOIN project_quality q ON q.project_id = p.id WHERE p.id = %(project)s""",
        {"known": known, "task": task_id, "project": project_id},
    ).fetchone()
    return Model(*row) if row else Model(None, None, 0, False)


def open_seats(connection: Connection, task_id: int, redundancy: int, *, is_soon: bool) -> None:
    """Let the task have so many answers. is_soon: it is served before others (hotpath.sql: hot_needed), since
    it lacks one answer only; otherwise it goes to the end of the order, so that every walk meets it.
    """
    connection.execute(
        """UPDATE task SET redundancy = %(r)s,
                  pos = CASE WHEN %(soon)s THEN nextval('task_soon') ELSE nextval('task_pos') END
           WHERE id = %(task)s AND retired_at IS NULL AND redundancy < %(r)s""",
        {"r": redundancy, "task": task_id, "soon": is_soon},
    )


def tables(
    connection: Connection, project_id: int, contributors: Sequence[UUID]
) -> list[tuple[UUID, dict[str, Any], list[str]]]:
    """What the model knows of these contributors: tables by field, and the fields they are lost in."""
    return connection.execute(
        "SELECT contributor_id, tables, lost FROM contributor_record"
        " WHERE project_id = %s AND contributor_id = ANY(%s)",
        (project_id, list(contributors)),
    ).fetchall()


def put_stopping(
    connection: Connection,
    task_id: int,
    project_id: int,
    outcome: str,
    n_answers: int,
    value: Mapping[str, Any] | None,
    *,
    is_audit: bool,
) -> None:
    """Store what was decided of a task; the early word on an audited one stays."""
    connection.execute(
        """INSERT INTO stopping (task_id, project_id, outcome, is_audit, n_answers, value)
           VALUES (%s, %s, %s, %s, %s, %s)
           ON CONFLICT (task_id) DO UPDATE SET outcome = excluded.outcome, n_answers = excluded.n_answers,
               value = excluded.value, decided_at = now() WHERE NOT stopping.is_audit""",
        (task_id, project_id, outcome, is_audit, n_answers, None if value is None else Jsonb(value)),
    )


class Stopped(NamedTuple):
    """A task that stopped as sure: what its consensus was then."""

    task_id: int
    value: dict[str, Any] | None


def stopped_as_sure(connection: Connection, project_id: int) -> list[Stopped]:
    """Tasks that stopped early and could take another answer, by id."""
    rows = connection.execute(
        """SELECT s.task_id, s.value FROM stopping s JOIN task t ON t.id = s.task_id
           JOIN project p ON p.id = s.project_id
           WHERE s.project_id = %s AND s.outcome = 'sure' AND NOT s.is_audit
             AND t.retirement_reason = 'consensus' AND t.n_answers < p.redundancy AND p.state <> 'archived'
           ORDER BY s.task_id""",
        (project_id,),
    )
    return [Stopped(*row) for row in rows]


def reopen(connection: Connection, project_id: int, tasks: Mapping[int, int]) -> int:
    """Open these tasks for one answer more; tasks: the version of the answers that this was decided on.

    Locked first, in order. What has got an answer since, or is no longer stopped, is left alone. A task goes
    to those that are served before others. It is disputed until it has been decided again.
    Return how many are open again.
    """
    ids = sorted(tasks)
    connection.execute("SELECT 1 FROM task WHERE id = ANY(%s) ORDER BY id FOR NO KEY UPDATE", (ids,))
    return connection.execute(
        """WITH again AS (
               UPDATE task t SET retired_at = NULL, retirement_reason = NULL, pos = nextval('task_soon'),
                      redundancy = greatest(t.redundancy, least(p.redundancy, t.n_answers + t.n_leases + 1))
               FROM project p, unnest(%(ids)s::bigint[], %(versions)s::bigint[]) AS u (id, version)
               WHERE t.id = u.id AND p.id = %(project)s AND t.project_id = p.id
                 AND t.retirement_reason = 'consensus' AND t.n_answers < p.redundancy
                 AND u.version = (SELECT coalesce(sum(a.revision), 0) FROM answer a
                                  WHERE a.task_id = t.id AND a.status = 'counted')
               RETURNING t.id)
           UPDATE stopping s SET outcome = 'disputed', n_reopened = s.n_reopened + 1, decided_at = now()
           FROM again WHERE s.task_id = again.id""",
        {"ids": ids, "versions": [tasks[task] for task in ids], "project": project_id},
    ).rowcount


class Stops(NamedTuple):
    """How "stop when sure" went. n_flipped of n_audited (those with all answers in) changed their value.

    n_reopened: tasks that a later model doubted, and that were asked again.
    """

    n_sure: int
    n_full: int
    n_disputed: int
    n_audited: int
    n_flipped: int
    n_reopened: int


def stops(connection: Connection, project_id: int) -> Stops:
    """Count what stopping said, and how often the audit overturned it."""
    row = connection.execute(
        """SELECT count(*) FILTER (WHERE s.outcome = 'sure'), count(*) FILTER (WHERE s.outcome = 'full'),
                  count(*) FILTER (WHERE s.outcome = 'disputed' AND t.retired_at IS NOT NULL),
                  count(*) FILTER (WHERE done.is_it),
                  count(*) FILTER (WHERE done.is_it AND s.value IS DISTINCT FROM c.value),
                  count(*) FILTER (WHERE s.n_reopened > 0)
           FROM stopping s JOIN task t ON t.id = s.task_id LEFT JOIN consensus c ON c.task_id = s.task_id
           CROSS JOIN LATERAL (SELECT s.is_audit AND t.retired_at IS NOT NULL AND t.n_answers > s.n_answers
                               AS is_it) AS done
           WHERE s.project_id = %s""",
        (project_id,),
    ).fetchone()
    return Stops(*row) if row else Stops(0, 0, 0, 0, 0, 0)
