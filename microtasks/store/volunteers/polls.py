"""Polls: what everybody said of a task, for those who have said something themselves."""

from __future__ import annotations

from typing import NamedTuple
from uuid import UUID

from microtasks.store.db import Connection


class PollAnswer(NamedTuple):
    """An own answer to a poll. said: the choice; None for "I can't tell"."""

    task_id: int
    said: str | None
    question: str | None


def last_answers(
    connection: Connection, contributor: UUID, project_id: int, field: str, limit: int
) -> list[PollAnswer]:
    """The last own answers, newest first; from here on they cannot be revised. Known tasks are left out."""
    rows = connection.execute(
        """WITH mine AS (
               SELECT a.id FROM answer a
               WHERE a.contributor_id = %(who)s AND a.project_id = %(project)s
                 AND NOT EXISTS (SELECT 1 FROM task_gold g WHERE g.task_id = a.task_id)
               ORDER BY a.id DESC LIMIT %(limit)s FOR NO KEY UPDATE OF a),
           told AS (
               UPDATE answer a SET told_at = coalesce(a.told_at, now()) FROM mine WHERE a.id = mine.id
               RETURNING a.id, a.task_id, a.value ->> %(field)s AS said)
           SELECT t.task_id, t.said, coalesce(c.payload ->> 'question', c.payload ->> 'text')
           FROM told t JOIN task_content c USING (task_id) ORDER BY t.id DESC""",
        {"who": contributor, "project": project_id, "field": field, "limit": limit},
    )
    return [PollAnswer(*row) for row in rows]


def votes(connection: Connection, task_ids: list[int], field: str) -> dict[int, dict[str, int]]:
    """Counted votes by task and choice; who can't tell has no vote."""
    votes_by_task: dict[int, dict[str, int]] = {task_id: {} for task_id in task_ids}
    for task_id, choice, n in connection.execute(
        """SELECT task_id, value ->> %(field)s, count(*) FROM answer
           WHERE task_id = ANY(%(tasks)s) AND status = 'counted' AND value ? %(field)s GROUP BY 1, 2""",
        {"field": field, "tasks": task_ids},
    ):
        votes_by_task[task_id][choice] = n
    return votes_by_task
