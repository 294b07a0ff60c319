"""Batches: one upload each, how far its import has come, and what failed in it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from sqlmodel import Session, col, select

from microtasks.core.errors import NotFound
from microtasks.core.rows import Failed
from microtasks.store.db import Connection
from microtasks.store.tables import Batch, BatchFailure


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


def add(connection: Connection, project_id: int, label: str, upload: str, options: str) -> int:
    """Insert a batch that waits for its import; options are JSON. Return its id."""
    row = connection.execute(
        """INSERT INTO batch (project_id, label, upload, options) VALUES (%s, %s, %s, %s::jsonb)
           RETURNING id""",
        (project_id, label, upload, options),
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


def start(connection: Connection, batch_id: int, n_rows: int, notices: str) -> None:
    """The upload was looked through: about so many rows; notices are a JSON list of sentences."""
    connection.execute(
        """UPDATE batch SET state = 'running', phase = 'checked', n_rows = %s, notices = %s::jsonb
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


def add_failures(connection: Connection, batch_id: int, failed: Iterable[Failed]) -> None:
    """List rows that did not become tasks."""
    with (
        connection.cursor() as cursor,
        cursor.copy("COPY batch_failure (batch_id, row_no, name, reason) FROM STDIN") as copy,
    ):
        for row in failed:
            copy.write_row((batch_id, row.line, row.name, row.reason))


def uploads_in_use(connection: Connection) -> set[str]:
    """Names of the upload folders that an import still needs."""
    rows = connection.execute("SELECT upload FROM batch WHERE state IN ('queued', 'running')")
    return {row[0] for row in rows}
