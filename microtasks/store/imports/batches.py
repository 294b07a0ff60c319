"""Batches: one upload each, how far its import has come, and what failed in it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from sqlmodel import Session, col, select

from microtasks.core.errors import NotFound
from microtasks.core.parsing.rows import Failed
from microtasks.store.db import Connection
from microtasks.store.tables import Batch, BatchFailure

#: A staged upload that nobody came back to is thrown away after this time.
STAGED_DAYS = 7


def get(session: Session, batch_id: int) -> Batch:
    """The batch; NotFound."""
    batch = session.get(Batch, batch_id, populate_existing=True)
    if batch is None:
        raise NotFound("There is no such batch.")
    return batch


def list_for_project(
    session: Session, project_id: int, before_id: int | None = None, limit: int = 100
) -> Sequence[Batch]:
    """The project's batches, the latest first."""
    chosen = select(Batch).where(Batch.project_id == project_id)
    if before_id is not None:
        chosen = chosen.where(col(Batch.id) < before_id)
    return session.exec(chosen.order_by(col(Batch.id).desc()).limit(limit)).all()


def failures(session: Session, batch_id: int, after_id: int = 0, limit: int = 100) -> Sequence[BatchFailure]:
    """Rows that failed, in the order of the file; go on with the last one's id."""
    return session.exec(
        select(BatchFailure)
        .where(BatchFailure.batch_id == batch_id, col(BatchFailure.id) > after_id)
        .order_by(col(BatchFailure.id))
        .limit(limit)
    ).all()


@dataclass(frozen=True, slots=True)
class Order:
    """What an import is asked to do: its batch and, of the project, what tasks need."""

    id: int
    project_id: int
    state: str
    label: str
    upload: str
    options: dict[str, Any]
    rows_done: int
    task_type: str
    config: dict[str, Any]


def add(
    connection: Connection, project_id: int, label: str, upload: str, options: str, state: str = "queued"
) -> int:
    """Insert a batch that waits for its import, or is staged; options are JSON. Return its id."""
    row = connection.execute(
        """INSERT INTO batch (project_id, label, upload, options, state) VALUES (%s, %s, %s, %s::jsonb, %s)
           RETURNING id""",
        (project_id, label, upload, options, state),
    ).fetchone()
    assert row is not None  # noqa: S101
    return int(row[0])


def order(connection: Connection, batch_id: int) -> Order | None:
    """What is to be imported; None if the batch is gone."""
    row = connection.execute(
        """SELECT b.id, b.project_id, b.state, b.label, b.upload, b.options, b.rows_done,
                  p.task_type, p.config
           FROM batch b JOIN project p ON p.id = b.project_id WHERE b.id = %s""",
        (batch_id,),
    ).fetchone()
    return Order(*row) if row else None


def last_columns(connection: Connection, project_id: int, batch_id: int) -> dict[str, str]:
    """What the owner said that columns are for, at the last upload of the project that became tasks."""
    row = connection.execute(
        """SELECT options -> 'columns' FROM batch
           WHERE project_id = %s AND id < %s AND state = 'done' AND options ? 'columns'
           ORDER BY id DESC LIMIT 1""",
        (project_id, batch_id),
    ).fetchone()
    return dict(row[0]) if row and row[0] else {}


def start(connection: Connection, batch_id: int, n_rows: int, notices: str) -> None:
    """The upload was looked through: about so many rows; notices are a JSON list of sentences."""
    connection.execute(
        """UPDATE batch SET state = 'running', phase = 'checked', n_rows = %s, notices = %s::jsonb,
                  started_at = coalesce(started_at, now())
           WHERE id = %s AND state IN ('queued', 'running')""",
        (n_rows, notices, batch_id),
    )


def hold(connection: Connection, batch_id: int, rows_done: int) -> bool:
    """Lock the batch until the transaction ends. False: another run has got on from that row.

    The commit does not wait for the disk: tasks and restart point are kept or lost together, and `finish`
    waits for all of them.
    """
    row = connection.execute(
        """SELECT rows_done, set_config('synchronous_commit', 'off', true) FROM batch
           WHERE id = %s AND state = 'running' FOR NO KEY UPDATE""",
        (batch_id,),
    ).fetchone()
    return row is not None and row[0] == rows_done


def advance(connection: Connection, batch_id: int, n_rows: int, n_tasks: int, n_failed: int) -> None:
    """So many more rows are done: tasks, or listed failures. Hold the batch first."""
    connection.execute(
        """UPDATE batch SET rows_done = rows_done + %s, n_tasks = n_tasks + %s, n_failed = n_failed + %s
           WHERE id = %s""",
        (n_rows, n_tasks, n_failed, batch_id),
    )


def finish(connection: Connection, batch_id: int, notices: str) -> None:
    """Every row is a task or a listed failure; more notices may have come up."""
    connection.execute(
        """UPDATE batch SET state = 'done', phase = 'ready', n_rows = rows_done, finished_at = now(),
                  notices = notices || %s::jsonb
           WHERE id = %s""",
        (notices, batch_id),
    )


def fail(connection: Connection, batch_id: int, reason: str) -> None:
    """Nothing more comes of the batch, for a reason that the owner reads."""
    connection.execute(
        """UPDATE batch SET state = 'failed', error = %s, finished_at = now()
           WHERE id = %s AND state IN ('queued', 'running')""",
        (reason, batch_id),
    )


def wait_again(connection: Connection, batch_id: int) -> str | None:
    """Let a batch whose import was given up wait for it again; return its upload, None if it is not so."""
    row = connection.execute(
        """UPDATE batch SET state = 'queued', error = NULL, finished_at = NULL
           WHERE id = %s AND state = 'failed' RETURNING upload""",
        (batch_id,),
    ).fetchone()
    return str(row[0]) if row else None


def add_failures(connection: Connection, batch_id: int, failed: Iterable[Failed]) -> None:
    """List rows that did not become tasks."""
    with (
        connection.cursor() as cursor,
        cursor.copy("COPY batch_failure (batch_id, row_no, name, reason) FROM STDIN") as copy,
    ):
        for row in failed:
            copy.write_row((batch_id, row.line, row.name, row.reason))


def uploads_in_use(connection: Connection) -> set[str]:
    """Names of the upload folders that an import still needs; one that was given up may be tried again."""
    rows = connection.execute(
        """SELECT upload FROM batch WHERE state IN ('queued', 'running')
           OR state IN ('staged', 'failed') AND created_at > now() - make_interval(days => %s)
           UNION ALL SELECT id FROM upload
           UNION ALL SELECT upload FROM restoration
                     WHERE state IN ('staged', 'queued', 'running', 'failed')""",
        (STAGED_DAYS,),
    )
    return {row[0] for row in rows}


def hold_staged(connection: Connection, batch_id: int) -> str | None:
    """Lock a staged batch until the transaction ends; return its upload, None if it is not staged."""
    row = connection.execute(
        "SELECT upload FROM batch WHERE id = %s AND state = 'staged' FOR UPDATE", (batch_id,)
    ).fetchone()
    return str(row[0]) if row else None


def locked(connection: Connection, batch_id: int) -> tuple[int, str]:
    """The batch's project and state, locked until the transaction ends; NotFound."""
    row = connection.execute(
        "SELECT project_id, state FROM batch WHERE id = %s FOR UPDATE", (batch_id,)
    ).fetchone()
    if row is None:
        raise NotFound("There is no such batch.")
    return int(row[0]), str(row[1])


def set_state(connection: Connection, batch_id: int, state: str) -> None:
    connection.execute("UPDATE batch SET state = %s WHERE id = %s", (state, batch_id))


def set_phase(connection: Connection, batch_id: int, phase: str) -> None:
    connection.execute("UPDATE batch SET phase = %s WHERE id = %s", (phase, batch_id))


def set_options(connection: Connection, batch_id: int, options: str) -> None:
    """Change what a staged batch is to become (JSON); what a look found is no longer so."""
    connection.execute("UPDATE batch SET options = %s::jsonb, look = NULL WHERE id = %s", (options, batch_id))


def set_look(connection: Connection, batch_id: int, look: str) -> None:
    """Keep what a look through a staged batch found, as JSON."""
    connection.execute(
        "UPDATE batch SET look = %s::jsonb WHERE id = %s AND state = 'staged'", (look, batch_id)
    )


def delete(connection: Connection, batch_id: int) -> None:
    """Delete a batch that has no tasks."""
    connection.execute("DELETE FROM batch WHERE id = %s", (batch_id,))


def drop_staged(connection: Connection) -> None:
    """Delete staged batches that nobody came back to; their folders go with the other orphans."""
    connection.execute(
        "DELETE FROM batch WHERE state = 'staged' AND created_at < now() - make_interval(days => %s)",
        (STAGED_DAYS,),
    )


def undo(connection: Connection, batch_id: int) -> tuple[int, int]:
    """Delete the batch's tasks without answers and leases, withdraw the others; return how many of each."""
    connection.execute("SET LOCAL statement_timeout = '10min'")  # a million tasks may have to go
    # In the order of their ids, as all who lock several tasks.
    connection.execute(
        """SELECT count(*) FROM (
               SELECT t.id FROM task t JOIN task_content c ON c.task_id = t.id WHERE c.batch_id = %s
               ORDER BY t.id FOR UPDATE OF t) AS held""",
        (batch_id,),
    )
    withdrawn = connection.execute(
        """UPDATE task SET retired_at = now(), retirement_reason = 'withdrawn'
           FROM task_content c
           WHERE c.task_id = task.id AND c.batch_id = %s AND retired_at IS NULL
             AND EXISTS (SELECT FROM answer a WHERE a.task_id = task.id
                         UNION ALL SELECT FROM lease l WHERE l.task_id = task.id)""",
        (batch_id,),
    ).rowcount
    deleted = connection.execute(
        """DELETE FROM task USING task_content c
           WHERE c.task_id = task.id AND c.batch_id = %s
             AND NOT EXISTS (SELECT FROM answer a WHERE a.task_id = task.id)
             AND NOT EXISTS (SELECT FROM lease l WHERE l.task_id = task.id)""",
        (batch_id,),
    ).rowcount
    connection.execute(
        "UPDATE batch SET state = 'undone', n_tasks = n_tasks - %s WHERE id = %s", (deleted, batch_id)
    )
    return deleted, withdrawn
