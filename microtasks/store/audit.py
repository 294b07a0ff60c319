"""Who changed what: one row a change, written in its transaction, never changed."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, NamedTuple

from psycopg.types.json import Jsonb

from microtasks.store.db import Connection


class Entry(NamedTuple):
    """One change. email: of who did it, as it was then; None for the command line."""

    id: int
    at: datetime
    email: str | None
    action: str
    detail: dict[str, Any]


def add(
    connection: Connection,
    account_id: int | None,
    project_id: int | None,
    action: str,
    detail: Mapping[str, Any],
) -> None:
    connection.execute(
        "INSERT INTO audit (account_id, email, project_id, action, detail)"
        " VALUES (%s, (SELECT email FROM account WHERE id = %s), %s, %s, %s)",
        (account_id, account_id, project_id, action, Jsonb(detail)),
    )


def page(
    connection: Connection, project_id: int, before: int | None, limit: int, action: str = "", email: str = ""
) -> list[Entry]:
    """A project's entries with an id below `before`, newest first. action: or the first part of several."""
    rows = connection.execute(
        """SELECT a.id, a.at, a.email, a.action, a.detail FROM audit a
           WHERE a.project_id = %(project)s AND (%(before)s::bigint IS NULL OR a.id < %(before)s)
             AND (%(action)s = '' OR a.action = %(action)s OR split_part(a.action, '.', 1) = %(action)s)
             AND (%(email)s = '' OR a.email = %(email)s)
           ORDER BY a.id DESC LIMIT %(limit)s""",
        {"project": project_id, "before": before, "limit": limit, "action": action, "email": email},
    )
    return [Entry(*row) for row in rows]


def who(connection: Connection, project_id: int) -> list[str]:
    """The addresses of those who changed something, as they were then, sorted."""
    rows = connection.execute(
        "SELECT DISTINCT email FROM audit WHERE project_id = %s AND email IS NOT NULL ORDER BY 1",
        (project_id,),
    )
    return [str(email) for (email,) in rows]
