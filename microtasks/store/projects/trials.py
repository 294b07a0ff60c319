"""Copies of projects to try them out: their tasks, and their end."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from microtasks.store.db import Connection


@dataclass(frozen=True, slots=True)
class Trial:
    """A copy: its address, when it was made, and what was answered there so far."""

    slug: str
    made_at: datetime
    n_tasks: int
    n_answers: int


def of_project(connection: Connection, project_id: int) -> Trial | None:
    """The copy of that project, if there is one."""
    row = connection.execute(
        """SELECT p.slug, p.created_at, (SELECT count(*) FROM task t WHERE t.project_id = p.id),
                  (SELECT count(*) FROM answer a WHERE a.project_id = p.id)
           FROM project p WHERE p.trial_of = %s ORDER BY p.id DESC LIMIT 1""",
        (project_id,),
    ).fetchone()
    return Trial(*row) if row else None


def discard(connection: Connection, project_id: int) -> None:
    """Delete the copies of that project, with everything in them."""
    connection.execute("DELETE FROM project WHERE trial_of = %s", (project_id,))


def discard_old(connection: Connection, days: int) -> None:
    """Delete copies made so many days ago."""
    connection.execute(
        "DELETE FROM project WHERE trial_of IS NOT NULL AND created_at < now() - make_interval(days => %s)",
        (days,),
    )


def copy_tasks(connection: Connection, from_project: int, to_project: int, limit: int) -> None:
    """Copy the first tasks of the walk, with content and known answers, none answered yet."""
    connection.execute(
        """WITH chosen AS (
               SELECT id, pos, redundancy, row_number() OVER (ORDER BY pos) AS nth
               FROM task WHERE project_id = %(from)s ORDER BY pos LIMIT %(limit)s),
           made AS (
               INSERT INTO batch (project_id, state, phase, label, upload, n_tasks)
               VALUES (%(to)s, 'done', 'ready', 'trial', '', (SELECT count(*) FROM chosen)) RETURNING id),
           copied AS (
               INSERT INTO task (project_id, pos, redundancy)
               SELECT %(to)s, pos, redundancy FROM chosen ORDER BY pos RETURNING id),
           paired AS (
               SELECT chosen.id AS old, copy.id AS new FROM chosen
               JOIN (SELECT id, row_number() OVER (ORDER BY id) AS nth FROM copied) AS copy USING (nth)),
           known AS (
               INSERT INTO task_gold (task_id, project_id, value, draw)
               SELECT new, %(to)s, g.value, g.draw FROM paired JOIN task_gold g ON g.task_id = old)
           INSERT INTO task_content (task_id, project_id, batch_id, external_id, payload, hidden, after,
                                     media_ids, source, source_x, source_y, source_media_id, file_name)
           SELECT new, %(to)s, made.id, external_id, payload, hidden, after, media_ids, source, source_x,
                  source_y, source_media_id, file_name
           FROM paired JOIN task_content c ON c.task_id = old CROSS JOIN made""",
        {"from": from_project, "to": to_project, "limit": limit},
    )
