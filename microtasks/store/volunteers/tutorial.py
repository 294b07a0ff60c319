"""What a project's tutorial is made of: its known tasks, and pictures of its tasks."""

from __future__ import annotations

from typing import Any, NamedTuple
from uuid import UUID

from microtasks.store.db import Connection


class KnownTask(NamedTuple):
    """A task whose right answer is known, with that answer. media: [width, height, derivatives] an image."""

    task_id: int
    external_id: str
    payload: dict[str, Any]
    media: list[list[Any]]
    gold: dict[str, Any]


def known_tasks(connection: Connection, project_id: int, limit: int) -> list[tuple[int, str]]:
    """(task id, the owner's id) of the first known tasks."""
    return connection.execute(
        "SELECT g.task_id, c.external_id FROM task_gold g JOIN task_content c USING (task_id)"
        " WHERE g.project_id = %s ORDER BY g.task_id LIMIT %s",
        (project_id, limit),
    ).fetchall()


def known_task(connection: Connection, project_id: int, task_id: int) -> KnownTask | None:
    """That task, if it is one of the project's and its answer is known."""
    row = connection.execute(
        """SELECT c.task_id, c.external_id, c.payload,
                  coalesce((SELECT json_agg(json_build_array(m.width, m.height, m.derivatives) ORDER BY o.nth)
                            FROM unnest(c.media_ids) WITH ORDINALITY AS o(id, nth)
                            JOIN media m ON m.id = o.id), '[]'), g.value
           FROM task_gold g JOIN task_content c USING (task_id)
           WHERE g.project_id = %s AND g.task_id = %s""",
        (project_id, task_id),
    ).fetchone()
    return KnownTask(*row) if row else None


def picture_of(connection: Connection, project_id: int, external_id: str) -> int | None:
    """The first image of the task with that id of the owner's."""
    row = connection.execute(
        "SELECT media_ids[1] FROM task_content WHERE project_id = %s AND external_id = %s",
        (project_id, external_id),
    ).fetchone()
    return row[0] if row else None


def has_answered(connection: Connection, contributor: UUID, project_id: int) -> bool:
    """Has this contributor ever answered a task of the project?"""
    row = connection.execute(
        "SELECT EXISTS (SELECT 1 FROM answer WHERE contributor_id = %s AND project_id = %s)",
        (contributor, project_id),
    ).fetchone()
    return bool(row and row[0])
