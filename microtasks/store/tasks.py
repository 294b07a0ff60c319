"""Tasks in bulk: COPY into the hot row, its content and its gold, in one transaction."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from psycopg.errors import DataError, UniqueViolation

from microtasks.core.errors import RowInvalid
from microtasks.store.db import Connection
from microtasks.store.tables import END_OF_ORDER

PRIORITIES = 1023
#: Random bits of a position below its priority: 10 + 52 bits keep every position below END_OF_ORDER.
RANDOM_BITS = 52
assert (PRIORITIES + 1) << RANDOM_BITS == END_OF_ORDER  # noqa: S101


def position(priority: float, random_bits: int) -> int:
    """Where a task stands in the walk: higher priority (0..1) first, at random among equals."""
    first = PRIORITIES - round(priority * PRIORITIES) if priority else PRIORITIES
    return (first << RANDOM_BITS) | random_bits


@dataclass(frozen=True, slots=True)
class Source:
    """Where a tile is from: the big image by the owner's id and by media row, and its first pixel there."""

    id: str
    x: int
    y: int
    media_id: int


class IdTaken(Exception):
    """A task's external id is in the project already, or twice among the new ones; nothing was inserted."""


class NewTask(NamedTuple):
    """A task to insert. payload, hidden, after and gold are JSON as bytes; gold is None for most.

    (A tuple, because it is made very often.)
    """

    external_id: str
    position: int
    redundancy: int | None
    payload: bytes
    gold: bytes | None = None
    hidden: bytes = b"{}"
    after: bytes = b"{}"
    media_ids: tuple[int, ...] = ()
    source: Source | None = None


#: A NewTask from `hidden` on, when it shows a text alone: then the columns' defaults do.
_NOTHING_MORE = (b"{}", b"{}", (), None)
_MORE = ", hidden, after, media_ids, source, source_x, source_y, source_media_id"


def hold_project(connection: Connection, project_id: int) -> int:
    """Let no other import add tasks to the project until the transaction ends; return a task's redundancy.

    Where tasks stop when sure they begin with the fewest, and grow (engine/stopping.py).
    """
    row = connection.execute(
        "SELECT CASE stop_rule WHEN 'confidence' THEN answers_min ELSE redundancy END"
        " FROM project WHERE id = %s FOR NO KEY UPDATE",
        (project_id,),
    ).fetchone()
    assert row is not None  # noqa: S101  (its batch is held)
    return int(row[0])


def known_ids(connection: Connection, project_id: int, external_ids: Iterable[str]) -> set[str]:
    """Which of these ids the project has already."""
    rows = connection.execute(
        "SELECT external_id FROM task_content WHERE project_id = %s AND external_id = ANY(%s)",
        (project_id, list(external_ids)),
    )
    return {row[0] for row in rows}


def known_images(connection: Connection, project_id: int, media_ids: Iterable[int]) -> dict[int, str]:
    """Which of these images are already a task of their own, with nothing else shown; and its id."""
    rows = connection.execute(
        """SELECT media_ids[1], external_id FROM task_content
           WHERE project_id = %s AND payload = '{}' AND source IS NULL AND cardinality(media_ids) = 1
             AND media_ids = ANY(SELECT ARRAY[id] FROM unnest(%s::bigint[]) AS id)""",
        (project_id, list(media_ids)),
    )
    return {row[0]: row[1] for row in rows}


def insert(
    connection: Connection, project_id: int, batch_id: int, redundancy: int, tasks: Sequence[NewTask]
) -> None:
    """Insert the tasks, and let new contributors begin before the first of them. Hold the project first.

    Rows are written as COPY text by hand: half the work of `write_row`. Raises RowInvalid when the database
    refuses a value, IdTaken; then the transaction is over.
    """
    if not tasks:
        return
    ids = _reserve(connection, len(tasks))
    is_plain = all(task[5:] == _NOTHING_MORE for task in tasks)
    try:
        _copy(
            connection,
            "task (id, project_id, pos, redundancy)",
            [
                b"%d\t%d\t%d\t%d\n" % (id, project_id, task.position, task.redundancy or redundancy)
                for id, task in zip(ids, tasks, strict=True)
            ],
        )
        _copy(
            connection,
            f"task_content (task_id, project_id, batch_id, external_id, payload{'' if is_plain else _MORE})",
            [
                b"%d\t%d\t%d\t%b\t%b%b\n"
                % (
                    id,
                    project_id,
                    batch_id,
                    _text(task.external_id.encode()),
                    _json(task.payload),
                    b"" if is_plain else _more(task),
                )
                for id, task in zip(ids, tasks, strict=True)
            ],
        )
        _copy(  # mostly nothing
            connection,
            "task_gold (task_id, project_id, value)",
            [
                b"%d\t%d\t%b\n" % (id, project_id, _json(task.gold))
                for id, task in zip(ids, tasks, strict=True)
                if task.gold is not None
            ],
        )
    except UniqueViolation as error:
        if error.diag.constraint_name != "uq_task_content_project_id_external_id":
            raise
        raise IdTaken from error
    except DataError as error:
        raise RowInvalid(f"The database refuses this row: {error.diag.message_primary}.") from error
    first = min(task.position for task in tasks)
    connection.execute(
        "UPDATE project SET head_pos = %(pos)s WHERE id = %(project)s AND head_pos > %(pos)s",
        {"pos": first - 1, "project": project_id},
    )


def _reserve(connection: Connection, n: int) -> list[int]:
    row = connection.execute(
        """SELECT array_agg(nextval(name.of)) FROM generate_series(1, %s),
                  (SELECT pg_get_serial_sequence('task', 'id')::regclass AS of OFFSET 0) AS name""",
        (n,),
    ).fetchone()
    assert row is not None  # noqa: S101
    ids: list[int] = row[0]
    return ids


_SPECIAL = re.compile(rb"[\\\n\r\t]")
_ESCAPES = {b"\\": b"\\\\", b"\n": b"\\n", b"\r": b"\\r", b"\t": b"\\t"}


def _copy(connection: Connection, into: str, lines: Sequence[bytes]) -> None:
    if lines:
        with connection.cursor() as cursor, cursor.copy(f"COPY {into} FROM STDIN") as copy:
            copy.write(b"".join(lines))


def _json(value: bytes) -> bytes:
    """Escape for COPY what orjson wrote: it has no line breaks or tabs."""
    return value.replace(b"\\", b"\\\\") if b"\\" in value else value


def _text(value: bytes) -> bytes:
    """Escape for COPY."""
    return _SPECIAL.sub(lambda found: _ESCAPES[found[0]], value) if _SPECIAL.search(value) else value


def _more(task: NewTask) -> bytes:
    """The columns after `payload`, each with the tab before it."""
    source = task.source
    return b"\t%b\t%b\t{%b}\t%b" % (
        _json(task.hidden),
        _json(task.after),
        b",".join(b"%d" % media_id for media_id in task.media_ids),
        b"\\N\t\\N\t\\N\t\\N"
        if source is None
        else b"%b\t%d\t%d\t%d" % (_text(source.id.encode()), source.x, source.y, source.media_id),
    )
