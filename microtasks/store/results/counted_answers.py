"""The counted answers that consensus and reviews rest on, read a chunk of tasks at a time.

Reads are by key, a chunk each in its own short transaction: memory holds one chunk, and a long read slows
nobody down.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from microtasks.store.db import Connection, Database

CHUNK = 1_000


#: contributor (hexadecimal), kind, value
PlainAnswer = tuple[str, str, dict[str, Any] | None]


class TaskAnswers(NamedTuple):
    """One task's counted answers. version: grows with every answer and every revision."""

    task_id: int
    said: list[PlainAnswer]
    version: int


def each_task(db: Database, project_id: int, chunk: int = CHUNK) -> Iterator[TaskAnswers]:
    """Every task of the project that has a counted answer, by id, with them."""
    after = 0
    while True:
        with db.connection() as connection:
            rows = connection.execute(
                "SELECT id FROM task WHERE project_id = %s AND id > %s AND n_answers > 0"
                " ORDER BY id LIMIT %s",
                (project_id, after, chunk),
            ).fetchall()
            ids = [int(row[0]) for row in rows]
            tasks = _by_task(connection, ids)
        yield from tasks
        if len(ids) < chunk:
            return
        after = ids[-1]


def sample(connection: Connection, project_id: int, n: int) -> list[int]:
    """Up to n tasks that have all their answers, two at least: spread evenly over the project."""
    return [
        int(row[0])
        for row in connection.execute(
            """WITH done AS (SELECT id, row_number() OVER (ORDER BY id) - 1 AS nth, count(*) OVER () AS n
                             FROM task WHERE project_id = %(project)s AND n_answers >= 2
                               AND retirement_reason IN ('consensus', 'redundancy'))
               SELECT id FROM done WHERE nth * %(wanted)s / n <> (nth - 1) * %(wanted)s / n OR nth = 0
               ORDER BY id LIMIT %(wanted)s""",
            {"project": project_id, "wanted": n},
        )
    ]


def in_order(connection: Connection, task_ids: Sequence[int]) -> dict[int, list[PlainAnswer]]:
    """Counted answers of these tasks, but those of excluded contributors, in the order in which they came."""
    answers_by_task: dict[int, list[PlainAnswer]] = {}
    for task_id, contributor, kind, value in connection.execute(
        "SELECT task_id, contributor_id, kind, value FROM counted_answer"
        " WHERE task_id = ANY(%s) AND NOT is_excluded ORDER BY task_id, id",
        (list(task_ids),),
    ):
        answers_by_task.setdefault(task_id, []).append((contributor.hex, kind, value))
    return answers_by_task


def of_task(connection: Connection, task_id: int) -> TaskAnswers:
    """One task's counted answers."""
    tasks = _by_task(connection, [task_id])
    return tasks[0] if tasks else TaskAnswers(task_id, [], 0)


def _by_task(connection: Connection, ids: Sequence[int]) -> list[TaskAnswers]:
    """Counted answers of these tasks, by task; tasks without any are left out.

    Those of excluded contributors count for the version (SQL's answers_version), but are not given.
    """
    tasks: dict[int, TaskAnswers] = {}
    if ids:
        for task_id, contributor, kind, value, revision, is_excluded in connection.execute(
            "SELECT task_id, contributor_id, kind, value, revision, is_excluded FROM counted_answer"
            " WHERE task_id = ANY(%s) ORDER BY task_id, contributor_id",
            (list(ids),),
        ):
            task = tasks.setdefault(task_id, TaskAnswers(task_id, [], 0))
            if not is_excluded:
                task.said.append((contributor.hex, kind, value))
            tasks[task_id] = task._replace(version=task.version + revision)
    return [tasks[task_id] for task_id in sorted(tasks)]


class TimedAnswer(NamedTuple):
    """One counted answer with its time. task_value: the task's consensus, None where there is none.

    is_excluded: of an excluded contributor. seconds: as the client said, at most what the server's clock
    allows for.
    """

    task_id: int
    contributor: str
    kind: str
    value: dict[str, Any] | None
    seconds: float | None
    task_value: dict[str, Any] | None
    is_excluded: bool


def each_timed_answer(db: Database, project_id: int, chunk: int = CHUNK) -> Iterator[TimedAnswer]:
    """Every counted answer of a project, by task and contributor, beside the task's consensus."""
    after = 0
    while True:
        with db.connection() as connection:
            ids = [
                int(row[0])
                for row in connection.execute(
                    "SELECT id FROM task WHERE project_id = %s AND id > %s AND n_answers > 0"
                    " ORDER BY id LIMIT %s",
                    (project_id, after, chunk),
                )
            ]
            rows = connection.execute(
                "SELECT a.task_id, a.contributor_id, a.kind, a.value,"
                " least(a.seconds_spent, a.server_seconds), s.value, a.is_excluded FROM counted_answer a"
                " LEFT JOIN consensus s ON s.task_id = a.task_id"
                " WHERE a.task_id = ANY(%s) ORDER BY a.task_id, a.contributor_id",
                (ids,),
            ).fetchall()
        for task_id, contributor, kind, value, seconds, task_value, is_excluded in rows:
            yield TimedAnswer(task_id, contributor.hex, kind, value, seconds, task_value, is_excluded)
        if len(ids) < chunk:
            return
        after = ids[-1]


def each_gold_answer(db: Database, project_id: int) -> list[tuple[str, dict[str, Any], dict[str, Any]]]:
    """Every answer to a known task, also those that were checks only: contributor, value, right value."""
    with db.connection() as connection:
        return [
            (contributor.hex, value, gold)
            for contributor, value, gold in connection.execute(
                "SELECT a.contributor_id, a.value, g.value FROM task_gold g"
                " JOIN answer a ON a.task_id = g.task_id WHERE g.project_id = %s"
                " AND a.status IN ('counted', 'check') AND a.value IS NOT NULL"
                " ORDER BY a.task_id, a.contributor_id",
                (project_id,),
            )
        ]


def of_tasks(connection: Connection, task_ids: Sequence[int]) -> dict[int, list[PlainAnswer]]:
    """Counted answers of these tasks; tasks without any are left out."""
    return {task.task_id: task.said for task in _by_task(connection, task_ids)}
