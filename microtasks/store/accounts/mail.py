"""The outbox: letters are rows first, written with what they tell of, and sent by a job."""

from __future__ import annotations

from datetime import datetime
from typing import NamedTuple

from microtasks.store.db import Connection

#: A letter that is being sent for so long: its worker died, and it is tried again.
STALE_SECONDS = 600


class Letter(NamedTuple):
    """What is to be sent. attempts: this one included."""

    id: int
    recipient: str
    subject: str
    body: str
    attempts: int


class Row(NamedTuple):
    """A letter as its operator sees it."""

    id: int
    recipient: str
    subject: str
    body: str
    state: str
    attempts: int
    error: str | None
    created_at: datetime
    due_at: datetime
    sent_at: datetime | None


def add(connection: Connection, recipient: str, subject: str, body: str) -> int:
    row = connection.execute(
        "INSERT INTO mail (recipient, subject, body) VALUES (%s, %s, %s) RETURNING id",
        (recipient, subject, body),
    ).fetchone()
    assert row is not None  # noqa: S101  (it was inserted)
    return int(row[0])


def take(connection: Connection, mail_id: int) -> Letter | None:
    """Take a letter that is due; None when it is another worker's, or done. Commit before sending it."""
    row = connection.execute(
        """UPDATE mail SET state = 'sending', attempts = attempts + 1,
               due_at = now() + make_interval(secs => %s)
           WHERE id = %s AND state IN ('queued', 'sending') AND due_at <= now()
           RETURNING id, recipient, subject, body, attempts""",
        (STALE_SECONDS, mail_id),
    ).fetchone()
    return Letter(*row) if row else None


def sent(connection: Connection, letter: Letter) -> None:
    """It is delivered to the server: what it said is emptied, it may hold a link."""
    _write(connection, letter, "state = 'sent', body = '', error = NULL, sent_at = now()")


def filed(connection: Connection, letter: Letter) -> None:
    """It lies in the data folder, for the operator to read here, too."""
    _write(connection, letter, "state = 'filed', error = NULL, sent_at = now()")


def put_off(connection: Connection, letter: Letter, error: str, pause_seconds: int) -> None:
    """It did not work: again after the pause."""
    _write(connection, letter, "state = 'queued', due_at = now() + make_interval(secs => %(pause)s)",
           error=error, pause=pause_seconds)  # fmt: skip


def give_up(connection: Connection, letter: Letter, error: str) -> None:
    _write(connection, letter, "state = 'failed'", error=error)


def _write(connection: Connection, letter: Letter, what: str, *, error: str = "", pause: int = 0) -> None:
    connection.execute(
        f"UPDATE mail SET {what}{', error = %(error)s' if error else ''}"  # noqa: S608  (ours)
        " WHERE id = %(id)s AND attempts = %(attempts)s AND state = 'sending'",
        {"id": letter.id, "attempts": letter.attempts, "error": error, "pause": pause},
    )


def due(connection: Connection, limit: int = 100) -> list[int]:
    """Letters whose time has come, oldest first."""
    rows = connection.execute(
        "SELECT id FROM mail WHERE state IN ('queued', 'sending') AND due_at <= now() ORDER BY id LIMIT %s",
        (limit,),
    )
    return [row[0] for row in rows]


def page(connection: Connection, before: int | None, limit: int) -> list[Row]:
    """Letters for the operator, newest first."""
    rows = connection.execute(
        "SELECT id, recipient, subject, body, state, attempts, error, created_at, due_at, sent_at FROM mail"
        " WHERE %(before)s::bigint IS NULL OR id < %(before)s ORDER BY id DESC LIMIT %(limit)s",
        {"before": before, "limit": limit},
    )
    return [Row(*row) for row in rows]


def again(connection: Connection, mail_id: int) -> bool:
    """Let a letter that was given up, or that waits, be tried at once. False: there is no such one."""
    return (
        connection.execute(
            "UPDATE mail SET state = 'queued', attempts = 0, due_at = now()"
            " WHERE id = %s AND state IN ('queued', 'failed')",
            (mail_id,),
        ).rowcount
        == 1
    )


def known(connection: Connection, ids: list[int]) -> set[int]:
    """Which of these letters there are."""
    rows = connection.execute("SELECT id FROM mail WHERE id = ANY(%s)", (ids,))
    return {row[0] for row in rows}


def drop_old(connection: Connection, days: int) -> None:
    """Delete letters that are over, and links that ended."""
    connection.execute(
        "DELETE FROM mail WHERE state IN ('sent', 'filed', 'failed')"
        " AND created_at < now() - make_interval(days => %s)",
        (days,),
    )
    connection.execute("DELETE FROM claim_link WHERE expires_at < now()")
    connection.execute("DELETE FROM address_link WHERE expires_at < now()")
