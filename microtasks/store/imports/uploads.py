"""Uploads on their way in pieces: what was announced, and how much of each file is here."""

from __future__ import annotations

from typing import Any

from microtasks.store.db import Connection


def add(connection: Connection, upload: str, project_id: int | None, account_id: int, files: str) -> None:
    """Note an announced upload; files are JSON. project_id: None for a package, which makes its own."""
    connection.execute(
        "INSERT INTO upload (id, project_id, account_id, files) VALUES (%s, %s, %s, %s::jsonb)",
        (upload, project_id, account_id, files),
    )


def pending_bytes(connection: Connection, account_id: int) -> int:
    """The size of all that the account has announced and not finished; others of it wait until the end."""
    connection.execute("SELECT 1 FROM account WHERE id = %s FOR NO KEY UPDATE", (account_id,))
    row = connection.execute(
        "SELECT coalesce(sum((file->>'size')::numeric), 0)::bigint"
        " FROM upload, jsonb_array_elements(files) AS file WHERE account_id = %s",
        (account_id,),
    ).fetchone()
    return int(row[0]) if row else 0


def find(
    connection: Connection, upload: str, project_id: int | None, account_id: int, *, is_locked: bool = False
) -> list[dict[str, Any]] | None:
    """The files of that upload, if it is theirs; is_locked: nobody else writes until the transaction ends."""
    query = (
        "SELECT files FROM upload WHERE id = %s AND project_id IS NOT DISTINCT FROM %s AND account_id = %s"
    )
    row = connection.execute(
        query + " FOR UPDATE" if is_locked else query, (upload, project_id, account_id)
    ).fetchone()
    return row[0] if row else None


def keep(connection: Connection, upload: str, files: str) -> None:
    connection.execute("UPDATE upload SET files = %s::jsonb WHERE id = %s", (files, upload))


def drop(connection: Connection, upload: str) -> None:
    connection.execute("DELETE FROM upload WHERE id = %s", (upload,))


def drop_old(connection: Connection, days: int) -> None:
    """Forget uploads that nobody went on with; their folders go with the other orphans."""
    connection.execute("DELETE FROM upload WHERE created_at < now() - make_interval(days => %s)", (days,))
