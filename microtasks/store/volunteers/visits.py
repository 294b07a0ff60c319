"""What one contributor did in a visit, in one project or several: for its clock and the thank-you page."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Any
from uuid import UUID

from microtasks.store.db import Connection

#: Values are read of so many answers at most: a page must stay quick for someone with thousands.
MOST_VALUES = 500


def projects_since(connection: Connection, contributor: UUID, since: datetime) -> list[tuple[int, int]]:
    """(project id, number of answers) of each project answered in since then, the last one first."""
    return connection.execute(
        "SELECT project_id, count(*) FROM answer WHERE contributor_id = %s AND created_at >= %s"
        " GROUP BY project_id ORDER BY max(id) DESC",
        (contributor, since),
    ).fetchall()


def slugs_of_recent(connection: Connection, contributor: UUID, limit: int) -> list[str]:
    """The projects' slugs of the last answers, whatever the project, newest first."""
    rows = connection.execute(
        "SELECT p.slug FROM answer a JOIN project p ON p.id = a.project_id"
        " WHERE a.contributor_id = %s AND p.state <> 'draft' ORDER BY a.id DESC LIMIT %s",
        (contributor, limit),
    )
    return [slug for (slug,) in rows]


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
