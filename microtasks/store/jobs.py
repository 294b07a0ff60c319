"""Jobs are rows first: state, attempt, heartbeat. Redis only rings; whatever still waits is rung again.

A job may run twice at once (a worker that was taken for dead lives on). So every claim gets a new `attempt`,
and each transaction of a job begins with `advance`, which fails for an attempt that is not the latest.
`n_tries` counts the claims since the job last got on: a crash in the middle of a long import is no defeat.
"""

from __future__ import annotations

from dataclasses import dataclass

from psycopg.errors import UniqueViolation

from microtasks.store.db import Connection

#: What a worker may run. A job names one of these, never a function.
NAMES = ("import", "look", "reduce", "aggregate", "mail", "export", "restore", "backup")


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
               heartbeat_at = now()
           WHERE id = %s AND (state = 'queued' OR (state = 'running'
                                  AND heartbeat_at < now() - make_interval(secs => %s)))
           RETURNING id, name, target_id, attempt, n_tries""",
        (job_id, stale_seconds),
    ).fetchone()
    return Claim(*row) if row else None


def advance(connection: Connection, claim: Claim) -> bool:
    """Hold the job's row until the transaction ends, and note that it got on. False: it is no longer ours."""
    return _write(connection, claim, "heartbeat_at = now(), n_tries = 0")


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
             AND (state = 'queued' OR heartbeat_at < now() - make_interval(secs => %s))
           ORDER BY id LIMIT %s""",
        (stale_seconds, limit),
    )
    return [row[0] for row in rows]
