"""Answers: the counted ones of a task, a contributor's own last ones, revisions and reports."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple
from uuid import UUID

import orjson

from microtasks.store.db import Connection

#: contributor, kind, value
Said = tuple[UUID, str, dict[str, Any] | None]


def counted(connection: Connection, task_ids: Sequence[int]) -> dict[int, list[Said]]:
    """The counted answers of each of these tasks, in no order; every task has a list.

    Without those of excluded contributors.
    """
    answers_by_task: dict[int, list[Said]] = {task_id: [] for task_id in task_ids}
    if task_ids:
        for task_id, *answer in connection.execute(
            "SELECT task_id, contributor_id, kind, value FROM counted_answer"
            " WHERE task_id = ANY(%s) AND NOT is_excluded",
            (list(task_ids),),
        ):
            answers_by_task[task_id].append((answer[0], answer[1], answer[2]))
    return answers_by_task


class Recent(NamedTuple):
    """One of a contributor's own answers, with what is needed to show it again."""

    answer_id: int
    task_id: int
    project_id: int
    task_type: str
    config_version: int
    kind: str
    value: dict[str, Any] | None
    payload: dict[str, Any]
    media: list[list[Any]]  # [width, height, derivatives]


def recent(connection: Connection, contributor: UUID, slug: str, limit: int) -> list[Recent] | None:
    """The contributor's last answers in a project, newest first; None for a draft or no project."""
    project = connection.execute(
        "SELECT id, task_type FROM project WHERE slug = %s AND state <> 'draft'", (slug,)
    ).fetchone()
    if project is None:
        return None
    rows = connection.execute(
        """SELECT a.id, a.task_id, a.project_id, %(type)s, a.config_version, a.kind, a.value, c.payload,
                  coalesce((SELECT json_agg(json_build_array(m.width, m.height, m.derivatives) ORDER BY o.nth)
                            FROM unnest(c.media_ids) WITH ORDINALITY AS o(id, nth)
                            JOIN media m ON m.id = o.id), '[]')
           FROM (SELECT * FROM answer WHERE contributor_id = %(who)s AND project_id = %(project)s
                 ORDER BY id DESC LIMIT %(limit)s) AS a
           JOIN task_content c ON c.task_id = a.task_id
           ORDER BY a.id DESC""",
        {"who": contributor, "project": project[0], "type": project[1], "limit": limit},
    )
    return [Recent(*row) for row in rows]


class Mine(NamedTuple):
    """A contributor's answer to a task, as revising needs it."""

    answer_id: int
    status: str
    kind: str
    value: dict[str, Any] | None
    config_version: int
    is_recent: bool


def mine(
    connection: Connection, contributor: UUID, task_id: int, project_id: int, n_recent: int
) -> Mine | None:
    """The contributor's answer to the task; is_recent: among their last `n_recent` in the project."""
    row = connection.execute(
        """SELECT id, status, kind, value, config_version,
                  id IN (SELECT id FROM answer WHERE contributor_id = %(who)s AND project_id = %(project)s
                         ORDER BY id DESC LIMIT %(n)s)
           FROM answer WHERE task_id = %(task)s AND contributor_id = %(who)s""",
        {"who": contributor, "task": task_id, "project": project_id, "n": n_recent},
    ).fetchone()
    return Mine(*row) if row else None


def revise(connection: Connection, answer_id: int, kind: str, value: dict[str, Any] | None) -> bool:
    """Put a new version in place of the answer and keep the old one.

    False, and nothing is changed, once its contributor was told what is right (`told`).
    """
    kept = connection.execute(
        "INSERT INTO answer_revision (answer_id, revision, kind, value, created_at)"
        " SELECT id, revision, kind, value, coalesce(revised_at, created_at) FROM answer"
        " WHERE id = %s AND told_at IS NULL FOR NO KEY UPDATE",
        (answer_id,),
    )
    if kept.rowcount == 0:
        return False
    connection.execute(
        # the moment itself, not the transaction's: store/exports/snapshots.py
        "UPDATE answer SET kind = %s, value = %s::jsonb, revision = revision + 1,"
        " revised_at = clock_timestamp() WHERE id = %s",
        (kind, None if value is None else orjson.dumps(value).decode(), answer_id),
    )
    return True


class Told(NamedTuple):
    """An own answer, and what its contributor may be told of its task. gold, consensus: None: nothing."""

    task_id: int
    config_version: int
    value: dict[str, Any] | None
    gold: dict[str, Any] | None
    is_settled: bool  # done, with a consensus that may be told
    consensus: dict[str, Any] | None
    media: list[list[Any]]  # [width, height, derivatives]


def tell(
    connection: Connection, contributor: UUID, project_id: int, task_ids: Sequence[int]
) -> dict[int, Told]:
    """What may be told of these tasks to a contributor who has answered them; from now on they cannot revise.

    Only where the project allows it: of known tasks what is right, of tasks that are done the consensus.
    An answer without anything to tell is not touched: it may be revised.
    """
    rows = connection.execute(
        """WITH mine AS (  -- in one order, so that two requests of one person wait for each other
               SELECT id FROM answer
               WHERE contributor_id = %(who)s AND task_id = ANY(%(tasks)s) AND project_id = %(project)s
               ORDER BY id FOR NO KEY UPDATE),
           told AS (
               UPDATE answer a SET told_at = coalesce(a.told_at, now())
               FROM mine, task t JOIN project p ON p.id = t.project_id
               LEFT JOIN task_gold g ON g.task_id = t.id AND p.tells_known
               LEFT JOIN consensus c ON c.task_id = t.id AND p.tells_consensus AND t.retired_at IS NOT NULL
                   AND t.retirement_reason <> 'withdrawn'
               WHERE a.id = mine.id AND t.id = a.task_id
                 AND (g.task_id IS NOT NULL OR c.task_id IS NOT NULL)
               RETURNING a.task_id, a.config_version, a.value, g.value AS gold,
                         c.task_id IS NOT NULL AS is_settled, c.value AS consensus)
           SELECT told.*, coalesce((SELECT json_agg(json_build_array(m.width, m.height, m.derivatives)
                                                    ORDER BY o.nth)
                                    FROM unnest(t.media_ids) WITH ORDINALITY AS o(id, nth)
                                    JOIN media m ON m.id = o.id), '[]')
           FROM told JOIN task_content t ON t.task_id = told.task_id""",
        {"who": contributor, "project": project_id, "tasks": list(task_ids)},
    )
    return {row[0]: Told(*row) for row in rows}


def report(
    connection: Connection, contributor: UUID, task_id: int, project_id: int, reason: str, note: str
) -> bool:
    """Store what a contributor says is wrong with an item, in place of what they said before.

    False when the task is gone.
    """
    return (
        connection.execute(
            """INSERT INTO report (project_id, task_id, contributor_id, reason, note)
               SELECT project_id, id, %(who)s, %(reason)s, %(note)s FROM task
               WHERE id = %(task)s AND project_id = %(project)s
               ON CONFLICT (task_id, contributor_id)
               DO UPDATE SET reason = excluded.reason, note = excluded.note, closed_at = NULL""",
            {"who": contributor, "task": task_id, "project": project_id, "reason": reason, "note": note},
        ).rowcount
        == 1
    )


def config(connection: Connection, project_id: int, version: int) -> dict[str, Any] | None:
    """That version of a project's config; None when it was never kept."""
    row = connection.execute(
        """SELECT coalesce(
               (SELECT config FROM project_config WHERE project_id = %(project)s AND version = %(version)s),
               (SELECT config FROM project WHERE id = %(project)s AND config_version = %(version)s))""",
        {"project": project_id, "version": version},
    ).fetchone()
    return row[0] if row else None
