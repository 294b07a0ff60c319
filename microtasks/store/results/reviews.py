"""The latest quality review of each project."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, NamedTuple

from psycopg.types.json import Jsonb

from microtasks.store.db import Connection


class Review(NamedTuple):
    """What the last review of a project found."""

    agreement: dict[str, Any]
    made_at: datetime
    replay: dict[str, Any]


def latest(connection: Connection, project_id: int) -> Review | None:
    """The last review; None before the first."""
    row = connection.execute(
        "SELECT agreement, made_at, replay FROM project_quality WHERE project_id = %s", (project_id,)
    ).fetchone()
    return Review(*row) if row else None


def put(
    connection: Connection, project_id: int, agreement: Mapping[str, Any], model: Mapping[str, Any]
) -> None:
    """Store what a review found, in place of the last one."""
    connection.execute(
        """INSERT INTO project_quality (project_id, agreement, model) VALUES (%s, %s, %s)
           ON CONFLICT (project_id) DO UPDATE
           SET agreement = excluded.agreement, model = excluded.model, made_at = clock_timestamp()""",
        (project_id, Jsonb(agreement), Jsonb(model)),
    )


def put_replay(connection: Connection, project_id: int, replay: Mapping[str, Any]) -> None:
    """Store what other settings would have needed, in a project that was reviewed."""
    connection.execute(
        "UPDATE project_quality SET replay = %s WHERE project_id = %s", (Jsonb(replay), project_id)
    )
