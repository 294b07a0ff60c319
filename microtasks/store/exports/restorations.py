"""Packages that somebody brings: what is in them, and how far their project is made."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from microtasks.store.db import Connection, Session
from microtasks.store.tables import Restoration

#: A package that nobody went on with is forgotten after this time; one that was used likewise.
KEPT_DAYS = 7


@dataclass(frozen=True, slots=True)
class Order:
    """What a job is asked to do with a package."""

    id: int
    account_id: int
    state: str
    label: str
    upload: str
    options: dict[str, Any]
    is_looked_through: bool
    project_id: int | None
    rows_done: int


def add(connection: Connection, account_id: int, label: str, upload: str) -> int:
    """Note a package that is here whole; return its id."""
    row = connection.execute(
        "INSERT INTO restoration (account_id, label, upload, state) VALUES (%s, %s, %s, 'staged')"
        " RETURNING id",
        (account_id, label, upload),
    ).fetchone()
    assert row is not None  # noqa: S101  (RETURNING)
    return int(row[0])


def get(session: Session, account_id: int, restoration_id: int) -> Restoration | None:
    """That package, if it is theirs."""
    restoration = session.get(Restoration, restoration_id)
    return restoration if restoration is not None and restoration.account_id == account_id else None


def order(connection: Connection, restoration_id: int) -> Order | None:
    """What is to be done; None if it is gone."""
    row = connection.execute(
        """SELECT id, account_id, state, label, upload, options, look IS NOT NULL, project_id, rows_done
           FROM restoration WHERE id = %s""",
        (restoration_id,),
    ).fetchone()
    return Order(*row) if row else None


def set_look(connection: Connection, restoration_id: int, look: str) -> None:
    """Keep what a look found, as JSON."""
    connection.execute(
        "UPDATE restoration SET look = %s::jsonb WHERE id = %s AND state = 'staged'", (look, restoration_id)
    )


def queue(connection: Connection, account_id: int, restoration_id: int, options: str) -> bool:
    """Let the project be made (options are JSON). False unless it waits for that word and can be made."""
    done = connection.execute(
        """UPDATE restoration SET state = 'queued', options = %s::jsonb, n_rows = (look ->> 'n_tasks')::int
           WHERE id = %s AND account_id = %s AND state = 'staged' AND look IS NOT NULL
             AND look ->> 'error' IS NULL""",
        (options, restoration_id, account_id),
    )
    return done.rowcount == 1


def drop(connection: Connection, account_id: int, restoration_id: int) -> str | None:
    """Forget a package that waits, or that failed; return its upload, None if it does neither."""
    row = connection.execute(
        "DELETE FROM restoration WHERE id = %s AND account_id = %s AND state IN ('staged', 'failed')"
        " RETURNING upload",
        (restoration_id, account_id),
    ).fetchone()
    return str(row[0]) if row else None


def begin(connection: Connection, restoration_id: int, project_id: int) -> None:
    """Its project is there, and empty."""
    connection.execute(
        "UPDATE restoration SET state = 'running', project_id = %s, started_at = now() WHERE id = %s",
        (project_id, restoration_id),
    )


def advance(connection: Connection, restoration_id: int, n_rows: int) -> None:
    """So many more tasks are made."""
    connection.execute(
        "UPDATE restoration SET rows_done = rows_done + %s WHERE id = %s", (n_rows, restoration_id)
    )


def finish(connection: Connection, restoration_id: int) -> None:
    connection.execute(
        "UPDATE restoration SET state = 'done', finished_at = now() WHERE id = %s", (restoration_id,)
    )


def fail(connection: Connection, restoration_id: int, error: str) -> int | None:
    """Give it up, for a reason that a person can read; return the project that is made in part."""
    row = connection.execute(
        """UPDATE restoration r SET state = 'failed', error = %s, finished_at = now(), project_id = NULL
           FROM (SELECT id, project_id FROM restoration WHERE id = %s AND state <> 'done' FOR UPDATE) AS old
           WHERE r.id = old.id RETURNING old.project_id""",
        (error, restoration_id),
    ).fetchone()
    return row[0] if row else None


def wait_again(connection: Connection, restoration_id: int) -> str | None:
    """Let a package that was given up be brought anew; return its upload, None if it was not."""
    row = connection.execute(
        """UPDATE restoration SET state = 'queued', error = NULL, finished_at = NULL, rows_done = 0
           WHERE id = %s AND state = 'failed' RETURNING upload""",
        (restoration_id,),
    ).fetchone()
    return str(row[0]) if row else None


def drop_old(connection: Connection) -> None:
    """Forget packages that are over; their folders go with the other orphans."""
    connection.execute(
        """DELETE FROM restoration WHERE state NOT IN ('queued', 'running')
           AND created_at < now() - make_interval(days => %s)""",
        (KEPT_DAYS,),
    )
