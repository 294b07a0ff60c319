"""Stopping early: the model it goes by, the seats it opens, what it decided, tasks opened again."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, NamedTuple

from psycopg.types.json import Jsonb

from microtasks.store.db import Connection


class Model(NamedTuple):
    """The model that stopping goes by. made_at: which review made it; fields: None where that is known."""

    made_at: datetime | None
    fields: dict[str, Any] | None
    redundancy: int


def model(connection: Connection, project_id: int, task_id: int, known: datetime | None) -> Model:
    """The project's model, without its tables if they are those of the review `known`.

    redundancy: answers that the task may get at most.
    """
    row = connection.execute(
        """SELECT q.made_at, CASE WHEN q.made_at IS DISTINCT FROM %(known)s THEN q.model END,
                  coalesce((SELECT own_redundancy FROM task WHERE id = %(task)s), p.redundancy)
           FROM project p LEFT JOIN project_quality q ON q.project_id = p.id WHERE p.id = %(project)s""",
        {"known": known, "project": project_id, "task": task_id},
    ).fetchone()
    return Model(*row) if row else Model(None, None, 0)


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
             AND t.retirement_reason = 'consensus' AND p.state <> 'archived'
             AND t.n_answers < coalesce(t.own_redundancy, p.redundancy)
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
                      redundancy = greatest(t.redundancy, least(coalesce(t.own_redundancy, p.redundancy),
                                                                t.n_answers + t.n_leases + 1))
               FROM project p, unnest(%(ids)s::bigint[], %(versions)s::bigint[]) AS u (id, version)
               WHERE t.id = u.id AND p.id = %(project)s AND t.project_id = p.id
                 AND t.retirement_reason = 'consensus'
                 AND t.n_answers < coalesce(t.own_redundancy, p.redundancy)
                 AND u.version = answers_version(t.id)
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


def counts(connection: Connection, project_id: int) -> Stops:
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
