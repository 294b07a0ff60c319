"""What is known to be right about tasks: gold, and the hidden `#truth` column of a simulated data set."""

from __future__ import annotations

import json
from typing import Any

from microtasks.store.db import Connection


def truth_or_gold(connection: Connection, project_id: int) -> dict[int, dict[str, Any]]:
    """Return the right value by task id, for the tasks where one is known. The truth column comes first."""
    values: dict[int, dict[str, Any]] = {}
    for task_id, truth, gold in connection.execute(
        """SELECT c.task_id, coalesce(c.hidden ->> 'truth', c.hidden ->> '#truth'), g.value
           FROM task_content c LEFT JOIN task_gold g ON g.task_id = c.task_id WHERE c.project_id = %s""",
        (project_id,),
    ):
        value = _read(truth) if truth else gold
        if isinstance(value, dict):
            values[task_id] = value
    return values


def consensus_values(connection: Connection, project_id: int) -> dict[int, dict[str, Any] | None]:
    """Return the consensus value by task id; None where there is a tie."""
    return dict(
        connection.execute(
            "SELECT task_id, value FROM consensus WHERE project_id = %s", (project_id,)
        ).fetchall()
    )


def results_of_known(
    connection: Connection, project_id: int, at_most: int
) -> list[tuple[dict[str, Any], float, dict[str, Any]]]:
    """The consensus of known tasks that has a value and a confidence: value, confidence, known value."""
    return connection.execute(
        """SELECT c.value, c.confidence, g.value FROM task_gold g JOIN consensus c ON c.task_id = g.task_id
           WHERE g.project_id = %s AND c.value IS NOT NULL AND c.confidence IS NOT NULL
           ORDER BY g.task_id LIMIT %s""",
        (project_id, at_most),
    ).fetchall()


def _read(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return None  # a column of that name with something else in it


def by_task(connection: Connection, project_id: int) -> dict[int, dict[str, Any]]:
    """The known right values by task."""
    return dict(
        connection.execute(
            "SELECT task_id, value FROM task_gold WHERE project_id = %s", (project_id,)
        ).fetchall()
    )
