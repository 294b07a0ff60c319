"""Exports that were asked for: what, how far, and where their file is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from psycopg.types.json import Jsonb
from sqlmodel import col, func, select

from microtasks.store.db import Connection, Session
from microtasks.store.tables import Export

#: What a job may write.
COLUMNS = frozenset(
    {
        *("state", "snapshot", "software", "n_rows", "rows_done", "name", "folder", "n_bytes", "sha256"),
        *("error", "finished_at"),
    }
)


def add(
    connection: Connection,
    project_id: int,
    account_id: int | None,
    what: str,
    format: str,
    parameters: Mapping[str, Any],
) -> int:
    """Note that somebody asks for an export; return its id."""
    row = connection.execute(
        "INSERT INTO export (project_id, account_id, state, what, format, parameters, software, name, folder)"
        " VALUES (%s, %s, 'queued', %s, %s, %s, '', '', '') RETURNING id",
        (project_id, account_id, what, format, Jsonb(dict(parameters))),
    ).fetchone()
    assert row is not None  # noqa: S101  (RETURNING)
    return int(row[0])


def n_waiting(connection: Connection, project_id: int) -> int:
    """How many of the project's exports are not written yet. Waits for whoever asks at the same time."""
    connection.execute("SELECT 1 FROM project WHERE id = %s FOR NO KEY UPDATE", (project_id,))
    row = connection.execute(
        "SELECT count(*) FROM export WHERE project_id = %s AND state IN ('queued', 'running')", (project_id,)
    ).fetchone()
    return int(row[0]) if row else 0


def get(session: Session, project_id: int | None, export_id: int) -> Export | None:
    """One export, of this project if one is given."""
    export = session.get(Export, export_id)
    return export if export is not None and project_id in (None, export.project_id) else None


def listed(
    session: Session, project_id: int, before: int | None, limit: int, *, with_gold: bool
) -> Sequence[Export]:
    """The project's exports, newest first; with_gold: those too that hold known answers."""
    query = select(Export).where(col(Export.project_id) == project_id)
    if not with_gold:
        query = query.where(func.coalesce(col(Export.parameters)["gold"].astext, "false") != "true")
    if before is not None:
        query = query.where(col(Export.id) < before)
    return session.exec(query.order_by(col(Export.id).desc()).limit(limit)).all()


def write(connection: Connection, export_id: int, **values: Any) -> None:
    """Write these columns of an export's row."""
    if not COLUMNS.issuperset(values):
        raise ValueError(f"not for a job to write: {set(values) - COLUMNS}")
    assignments = ", ".join(f"{name} = %({name})s" for name in values)
    packed = {name: Jsonb(value) if isinstance(value, dict) else value for name, value in values.items()}
    connection.execute(
        f"UPDATE export SET {assignments} WHERE id = %(id)s",  # noqa: S608  (names are ours)
        {**packed, "id": export_id},
    )


def fail(connection: Connection, export_id: int, error: str) -> None:
    """Give an export up, for a reason that a person can read."""
    connection.execute(
        "UPDATE export SET state = 'failed', error = %s, finished_at = now()"
        " WHERE id = %s AND state <> 'done'",
        (error, export_id),
    )


def old(connection: Connection, days: int) -> list[tuple[int, str]]:
    """(id, folder) of the exports whose file has been kept for so many days."""
    return connection.execute(
        "SELECT id, folder FROM export"
        " WHERE state = 'done' AND finished_at < now() - make_interval(days => %s)",
        (days,),
    ).fetchall()


def wait_again(connection: Connection, export_id: int) -> None:
    """Let an export that was given up wait again."""
    connection.execute(
        """UPDATE export SET state = 'queued', error = NULL, finished_at = NULL
           WHERE id = %s AND state = 'failed'""",
        (export_id,),
    )


def stored(connection: Connection) -> list[tuple[int, str, str]]:
    """(id, folder, name) of the exports whose file is kept."""
    return connection.execute("SELECT id, folder, name FROM export WHERE state = 'done'").fetchall()


def expire(connection: Connection, export_id: int) -> None:
    """The export's file is no longer kept."""
    connection.execute("UPDATE export SET state = 'expired' WHERE id = %s AND state = 'done'", (export_id,))


def folders(connection: Connection) -> set[str]:
    """The folders that belong to a row."""
    return {row[0] for row in connection.execute("SELECT folder FROM export WHERE folder <> ''")}


def n_keys(connection: Connection, project_id: int) -> dict[str, int]:
    """About how much there is to read: "answers" and "tasks"."""
    row = connection.execute(
        "SELECT coalesce(sum(n_answers), 0), count(*) FROM task WHERE project_id = %s", (project_id,)
    ).fetchone()
    return {"answers": int(row[0]), "tasks": int(row[1])} if row else {"answers": 0, "tasks": 0}
