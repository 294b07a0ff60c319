"""What a reduction needs to know of its project, which projects are due for one, and its lock."""

from __future__ import annotations

from typing import Any, NamedTuple

from microtasks.store.db import Connection


class ReductionSettings(NamedTuple):
    """What reducing needs to know of a task's project."""

    project_id: int
    task_type: str
    config: dict[str, Any]
    method: str
    source: str | None = None
    stop_rule: str = "redundancy"
    stop_threshold: float = 0.95
    redundancy: int = 5
    answers_min: int = 5


def settings_of_task(connection: Connection, task_id: int) -> ReductionSettings | None:
    """The project of a task, and the big image it is a tile of; None when there is no such task."""
    row = connection.execute(
        "SELECT p.id, p.task_type, p.config, p.method, c.source FROM task t"
        " JOIN project p ON p.id = t.project_id JOIN task_content c ON c.task_id = t.id WHERE t.id = %s",
        (task_id,),
    ).fetchone()
    return ReductionSettings(*row) if row else None


def settings_of_project(connection: Connection, project_id: int) -> ReductionSettings | None:
    """The project; None when there is none."""
    row = connection.execute(
        "SELECT id, task_type, config, method, NULL, stop_rule, stop_threshold, redundancy, answers_min"
        " FROM project WHERE id = %s",
        (project_id,),
    ).fetchone()
    return ReductionSettings(*row) if row else None


def projects_due(connection: Connection) -> list[int]:
    """Projects whose model has not seen their last answers, and should: nobody has answered for a minute, or
    the last pass is ten minutes old. A few index look-ups for each project that has a model.

    Where tasks stop when sure, whether they are hangs on the model: then a pass is due after a minute, or
    after ten times as long as the last one took.
    """
    return [
        int(row[0])
        for row in connection.execute(
            """SELECT p.id FROM project p
               CROSS JOIN LATERAL (SELECT a.created_at FROM answer a WHERE a.project_id = p.id
                                   ORDER BY a.id DESC LIMIT 1) AS newest
               CROSS JOIN LATERAL (SELECT max(j.created_at) AS at, max(j.finished_at - j.created_at) AS took
                                   FROM job j WHERE j.name = 'aggregate' AND j.target_id = p.id) AS pass
               WHERE (p.method <> 'majority' OR p.stop_rule = 'confidence')
                 AND (pass.at IS NULL OR newest.created_at > pass.at)
                 AND (pass.at IS NULL OR pass.at < now() - interval '10 minutes'
                      OR newest.created_at < now() - interval '1 minute'
                      OR p.stop_rule = 'confidence'
                         AND pass.at < now() - greatest(interval '1 minute', 10 * pass.took))
               ORDER BY p.id"""
        )
    ]


def lock(connection: Connection, task_or_project_id: int, source: str = "") -> None:
    """Let only one at a time reduce this task (or this source of a project), until the transaction ends."""
    connection.execute(
        "SELECT pg_advisory_xact_lock(hashtextextended('consensus' || %s::text || ' ' || %s, 0))",
        (task_or_project_id, source),
    )
