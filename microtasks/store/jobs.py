"""Jobs are rows first: state, attempt, heartbeat. Redis only rings; whatever still waits is rung again."""

from __future__ import annotations

from microtasks.store.db import Connection

#: What a worker may run. A job names one of these, never a function.
NAMES = ("import", "reduce", "aggregate")


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
