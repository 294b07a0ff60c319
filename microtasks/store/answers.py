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

    Without those of contributors who were left out: their answers weigh nothing.
    """
    found: dict[int, list[Said]] = {task_id: [] for task_id in task_ids}
    if task_ids:
        for task_id, *said in connection.execute(
            "SELECT a.task_id, a.contributor_id, a.kind, a.value FROM answer a"
            " LEFT JOIN contributor_record r"
            " ON r.project_id = a.project_id AND r.contributor_id = a.contributor_id"
            " WHERE a.task_id = ANY(%s) AND a.status = 'counted' AND r.is_excluded IS NOT TRUE",
            (list(task_ids),),
        ):
            found[task_id].append((said[0], said[1], said[2]))
    return found


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
    """The contributor's last answers in a project, newest first; None when there is no such project."""
    project = connection.execute("SELECT id, task_type FROM project WHERE slug = %s", (slug,)).fetchone()
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


def revise(connection: Connection, answer_id: int, kind: str, value: dict[str, Any] | None) -> None:
    """Put a new version in place of the answer and keep the old one."""
    connection.execute(
        "INSERT INTO answer_revision (answer_id, revision, kind, value, created_at)"
        " SELECT id, revision, kind, value, coalesce(revised_at, created_at) FROM answer WHERE id = %s",
        (answer_id,),
    )
    connection.execute(
        "UPDATE answer SET kind = %s, value = %s::jsonb, revision = revision + 1, revised_at = now()"
        " WHERE id = %s",
        (kind, None if value is None else orjson.dumps(value).decode(), answer_id),
    )


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
