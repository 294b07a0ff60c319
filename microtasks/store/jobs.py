"""Jobs are rows first: state, attempt, heartbeat. Redis only rings; whatever still waits is rung again.

A job may run twice at once (a worker that was taken for dead lives on). So every claim gets a new `attempt`,
and each transaction of a job begins with `advance`, which fails for an attempt that is not the latest.
`n_tries` counts the claims since the job last got on: a crash in the middle of a long import is no defeat.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from psycopg.errors import UniqueViolation

from microtasks.store.db import Connection

#: What a worker may run. A job names one of these, never a function.
NAMES = ("import", "look", "reduce", "aggregate", "mail", "export", "restore", "backup")


#: How long a job pauses, the first time and then, while a server that it needs is away; and how often in
#: all: three days.
PAUSES_S = (15, 30, 60, 120, 300, 600, 900, 1800)
PAUSES_MAX = 150


@dataclass(frozen=True, slots=True)
class Trouble:
    """What a person is told of a job that does not get on: it is queued, or failed."""

    job_id: int
    state: str
    error: str
    due_at: datetime | None


@dataclass(frozen=True, slots=True)
class Claim:
    """A job taken by one worker: `attempt` is its fencing token."""

    id: int
    name: str
    target_id: int
    attempt: int
    n_tries: int


def add(connection: Connection, name: str, target_id: int) -> int:
    """Queue the job unless the same one waits already; return its id. Ring after the commit."""
    row = connection.execute(
        """WITH added AS (
               INSERT INTO job (name, target_id) VALUES (%(name)s, %(target)s)
               ON CONFLICT (name, target_id) WHERE state = 'queued' DO NOTHING RETURNING id)
           SELECT id FROM added
           UNION ALL
           SELECT id FROM job WHERE name = %(name)s AND target_id = %(target)s AND state = 'queued'
           LIMIT 1""",
        {"name": name, "target": target_id},
    ).fetchone()
    assert row is not None  # noqa: S101  (one of the two selects always has it)
    return int(row[0])


def was_added(connection: Connection, name: str, seconds: float) -> bool:
    """Whether such a job was queued within so many seconds."""
    row = connection.execute(
        """SELECT EXISTS (SELECT FROM job WHERE name = %s
                          AND created_at > now() - make_interval(secs => %s))""",
        (name, seconds),
    ).fetchone()
    return bool(row and row[0])


def claim(connection: Connection, job_id: int, stale_seconds: int) -> Claim | None:
    """Take a job that waits, or that runs without a heartbeat for so long; None if there is nothing to do."""
    row = connection.execute(
        """UPDATE job SET state = 'running', attempt = attempt + 1, n_tries = n_tries + 1,
               heartbeat_at = now(), due_at = NULL
           WHERE id = %s AND (state = 'queued' AND (due_at IS NULL OR due_at <= now())
                              OR state = 'running' AND heartbeat_at < now() - make_interval(secs => %s))
           RETURNING id, name, target_id, attempt, n_tries""",
        (job_id, stale_seconds),
    ).fetchone()
    return Claim(*row) if row else None


def advance(connection: Connection, claim: Claim) -> bool:
    """Hold the job's row until the transaction ends, and note that it got on. False: it is no longer ours."""
    return _write(connection, claim, "heartbeat_at = now(), n_tries = 0, n_pauses = 0")


def beat(connection: Connection, claim: Claim) -> bool:
    """Say that the job is still being worked on. False: it is no longer ours."""
    return _write(connection, claim, "heartbeat_at = now()")


def finish(connection: Connection, claim: Claim) -> bool:
    """The work is done. False: it is no longer ours."""
    return _write(connection, claim, "state = 'done', finished_at = now(), error = NULL")


def fail(connection: Connection, claim: Claim, error: str) -> bool:
    """Give the job up for good, for a reason. False: it is no longer ours."""
    return _write(connection, claim, "state = 'failed', finished_at = now(), error = %(error)s", error)


def give_back(connection: Connection, claim: Claim, *, error: str | None = None) -> bool:
    """Let the job wait again, for another try; without an error it was only interrupted, and counts none.

    If the same job waits already, that one will do the work, and this one is done.
    """
    tries = "n_tries" if error else "greatest(n_tries - 1, 0)"
    try:
        with connection.transaction():
            return _write(
                connection,
                claim,
                f"n_tries = {tries}, error = %(error)s, state = 'queued', heartbeat_at = NULL",
                error,
            )
    except UniqueViolation:
        return finish(connection, claim)


def pause(connection: Connection, claim: Claim, error: str) -> int | None:
    """Let the job wait while a server that it needs is away; return for how many seconds.

    It counts as no try. None when it is no longer ours, or has waited for days and is to be given up.
    """
    row = connection.execute("SELECT n_pauses FROM job WHERE id = %s", (claim.id,)).fetchone()
    n_pauses = int(row[0]) if row else 0
    if n_pauses >= PAUSES_MAX:
        return None
    seconds = PAUSES_S[min(n_pauses, len(PAUSES_S) - 1)]
    try:
        with connection.transaction():
            is_ours = _write(
                connection,
                claim,
                f"""state = 'queued', heartbeat_at = NULL, error = %(error)s, n_pauses = n_pauses + 1,
                    n_tries = greatest(n_tries - 1, 0),
                    due_at = now() + make_interval(secs => {seconds})""",
                error,
            )
    except UniqueViolation:
        return 0 if finish(connection, claim) else None
    return seconds if is_ours else None


def trouble(connection: Connection, name: str, target_id: int) -> Trouble | None:
    """Why the latest such job waits for another try, or was given up; None if neither is so."""
    row = connection.execute(
        """SELECT id, state, error, due_at FROM job WHERE name = %s AND target_id = %s
           ORDER BY id DESC LIMIT 1""",
        (name, target_id),
    ).fetchone()
    return Trouble(*row) if row and row[1] in ("queued", "failed") and row[2] else None


def again(connection: Connection, job_id: int) -> tuple[str, int] | None:
    """Let a job that pauses or was given up run at once; return its name and target. None: neither is so."""
    try:
        with connection.transaction():
            row = connection.execute(
                """UPDATE job SET state = 'queued', due_at = NULL, n_tries = 0, n_pauses = 0, error = NULL,
                       heartbeat_at = NULL, finished_at = NULL
                   WHERE id = %s AND (state = 'failed' OR state = 'queued') RETURNING name, target_id""",
                (job_id,),
            ).fetchone()
    except UniqueViolation:  # the same waits already
        return None
    return (str(row[0]), int(row[1])) if row else None


def _write(connection: Connection, claim: Claim, assignments: str, error: str | None = None) -> bool:
    written = connection.execute(
        f"""UPDATE job SET {assignments}
            WHERE id = %(id)s AND attempt = %(attempt)s AND state = 'running'""",  # noqa: S608
        {"id": claim.id, "attempt": claim.attempt, "error": error},
    )
    return written.rowcount == 1


def waiting(connection: Connection, stale_seconds: int, limit: int = 1000) -> list[int]:
    """Ids of jobs that should be rung for, oldest first: queued, or running without a heartbeat."""
    rows = connection.execute(
        """SELECT id FROM job
           WHERE state IN ('queued', 'running')
             AND (state = 'queued' AND (due_at IS NULL OR due_at <= now())
                  OR heartbeat_at < now() - make_interval(secs => %s))
           ORDER BY id LIMIT %s""",
        (stale_seconds, limit),
    )
    return [row[0] for row in rows]
