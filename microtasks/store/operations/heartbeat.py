"""Signs of life of long-running processes, by the database's clock."""

from __future__ import annotations

from microtasks.store.db import Connection


def beat(connection: Connection, name: str) -> None:
    """Say that the process of this name is alive."""
    connection.execute(
        """INSERT INTO heartbeat (name, beat_at) VALUES (%s, now())
           ON CONFLICT (name) DO UPDATE SET beat_at = excluded.beat_at""",
        (name,),
    )


def age_s(connection: Connection, name: str) -> float | None:
    """Seconds since its last sign of life; None if there never was one."""
    row = connection.execute(
        "SELECT extract(epoch FROM now() - beat_at)::float8 FROM heartbeat WHERE name = %s", (name,)
    ).fetchone()
    return row[0] if row else None
