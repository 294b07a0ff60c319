"""What one contributor did in a project: for the session's clock and the thank-you page."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Any
from uuid import UUID

from microtasks.store.db import Connection

#: Values are read of so many answers at most: a page must stay quick for someone with thousands.
MOST_VALUES = 500


def count_since(
    connection: Connection, contributor: UUID, project_id: int, since: datetime
) -> tuple[int, float]:
    """How many answers since then, and the seconds spent on them."""
    row = connection.execute(
        "SELECT count(*), coalesce(sum(seconds_spent), 0) FROM answer"
        " WHERE contributor_id = %s AND project_id = %s AND created_at >= %s",
        (contributor, project_id, since),
    ).fetchone()
    return (int(row[0]), float(row[1])) if row else (0, 0.0)


def values_since(
    connection: Connection, contributor: UUID, project_id: int, since: datetime
) -> list[dict[str, Any]]:
    """The values answered since then, newest first."""
    rows = connection.execute(
        "SELECT value FROM answer WHERE contributor_id = %s AND project_id = %s AND created_at >= %s"
        " AND value IS NOT NULL ORDER BY id DESC LIMIT %s",
        (contributor, project_id, since, MOST_VALUES),
    )
    return [row[0] for row in rows]


def beside_consensus(
    connection: Connection, contributor: UUID, project_id: int
) -> Iterator[tuple[dict[str, Any], dict[str, Any]]]:
    """(own value, consensus value) of this contributor's last tasks that are retired and decided.

    Only retired tasks: what others say of an open one could sway a correction.
    """
    rows = connection.execute(
        "SELECT a.value, c.value"
        " FROM answer a JOIN task t ON t.id = a.task_id JOIN consensus c USING (task_id)"
        " WHERE a.contributor_id = %s AND a.project_id = %s AND a.status = 'counted' AND a.value IS NOT NULL"
        " AND t.retired_at IS NOT NULL AND c.value IS NOT NULL ORDER BY a.id DESC LIMIT %s",
        (contributor, project_id, MOST_VALUES),
    )
    yield from ((row[0], row[1]) for row in rows)
