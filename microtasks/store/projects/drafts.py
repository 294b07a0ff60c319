"""Forms that somebody has begun and not saved: the last state of each, by account and page."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from psycopg.types.json import Jsonb

from microtasks.store.db import Connection


def keep(connection: Connection, account_id: int, page: str, form: Sequence[tuple[str, str]]) -> datetime:
    """Keep what was entered so far; return when, by the database's clock."""
    row = connection.execute(
        """INSERT INTO form_draft (account_id, page, form) VALUES (%s, %s, %s)
           ON CONFLICT (account_id, page) DO UPDATE SET form = excluded.form, saved_at = now()
           RETURNING saved_at""",
        (account_id, page, Jsonb([list(pair) for pair in form])),
    ).fetchone()
    assert row is not None  # noqa: S101  (the statement always yields a row)
    at: datetime = row[0]
    return at


def find(connection: Connection, account_id: int, page: str) -> tuple[list[tuple[str, str]], datetime] | None:
    """What was entered on that page, as (name, value) pairs in order, and when; None if nothing was."""
    row = connection.execute(
        "SELECT form, saved_at FROM form_draft WHERE account_id = %s AND page = %s", (account_id, page)
    ).fetchone()
    return ([(name, value) for name, value in row[0]], row[1]) if row else None


def drop(connection: Connection, account_id: int, page: str) -> None:
    """Forget it: it was saved, or thrown away."""
    connection.execute("DELETE FROM form_draft WHERE account_id = %s AND page = %s", (account_id, page))


def drop_old(connection: Connection, days: int) -> None:
    """Forget what nobody came back to."""
    connection.execute("DELETE FROM form_draft WHERE saved_at < now() - make_interval(days => %s)", (days,))
