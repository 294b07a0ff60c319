"""Tasks in bulk: COPY into the hot row, its content and its gold, in one transaction."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import repeat
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


def priority(pos: int) -> float:
    """The priority that a position was made of; 0 where the walk has moved the task since."""
    return (PRIORITIES - (pos >> RANDOM_BITS)) / PRIORITIES if 0 <= pos < END_OF_ORDER else 0.0


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
    file_name: str | None = None


#: A NewTask from `hidden` on, when it shows a text alone: then the columns' defaults do.
_NOTHING_MORE = (b"{}", b"{}", (), None, None)
_MORE = ", hidden, after, media_ids, source, source_x, source_y, source_media_id, file_name"


def redundancy(connection: Connection, project_id: int, holding: str = "") -> int | None:
    """How many answers a new task of the project is to get; None if the project is gone.

    Where tasks stop when sure they begin with the fewest, and grow (engine/assignment/stopping.py).
    """
    row = connection.execute(
        f"""SELECT CASE stop_rule WHEN 'confidence' THEN answers_min ELSE redundancy END
            FROM project WHERE id = %s {holding}""",  # noqa: S608  (ours)
        (project_id,),
    ).fetchone()
    return int(row[0]) if row else None


def hold_project(connection: Connection, project_id: int) -> int:
    """Let no other import add tasks to the project until the transaction ends; return its `redundancy`."""
    project_redundancy = redundancy(connection, project_id, "FOR NO KEY UPDATE")
    assert project_redundancy is not None  # noqa: S101  (its batch is held)
    return project_redundancy


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


@dataclass(frozen=True, slots=True)
class Lines:
    """Tasks as COPY reads them. redundancy: of those that were given none. columns: of the contents."""

    first_id: int
    redundancy: int
    first_position: int
    columns: str
    tasks: bytes
    task_columns: str
    contents: bytes
    gold: bytes


def lines(
    ids: Sequence[int], project_id: int, batch_id: int, redundancy: int, tasks: Sequence[NewTask]
) -> Lines:
    """Write at least one task as COPY reads it, each under the next of the ids (`reserve`).

    A column at a time: a third of the work of going through the rows.
    """
    external_ids, positions, redundancies, payloads, golds, *more = zip(*tasks, strict=True)
    numbers = [b"%d" % id for id in ids]
    project, batch, usual = (repeat(b"%d" % each) for each in (project_id, batch_id, redundancy))
    has_own = any(redundancies)
    seats = [[b"%d" % (each or redundancy) for each in redundancies] if has_own else usual]
    if has_own:
        seats.append([b"%d" % each if each else b"\\N" for each in redundancies])
    columns = [numbers, project, batch, _texts(external_ids), _jsons(payloads)]
    is_plain = all(task[5:] == _NOTHING_MORE for task in tasks)
    if not is_plain:
        hidden, after, media_ids, sources, file_names = more
        columns += [_jsons(hidden), _jsons(after), map(_array, media_ids), map(_source, sources)]
        columns.append([b"\\N" if name is None else _text(name.encode()) for name in file_names])
    known = [(id, gold) for id, gold in zip(numbers, golds, strict=True) if gold is not None]
    return Lines(
        first_id=ids[0],
        redundancy=redundancy,
        first_position=min(positions),
        columns="task_id, project_id, batch_id, external_id, payload" + ("" if is_plain else _MORE),
        tasks=_rows(numbers, project, [b"%d" % position for position in positions], *seats),
        task_columns="id, project_id, pos, redundancy" + (", own_redundancy" if has_own else ""),
        contents=_rows(*columns),
        gold=_rows([id for id, _ in known], project, _jsons([gold for _, gold in known])) if known else b"",
    )


def insert(connection: Connection, project_id: int, lines: Lines) -> None:
    """Insert the tasks, and let new contributors begin before the first of them. Hold the project first.

    Raises RowInvalid when the database refuses a value, IdTaken; then the transaction is over.
    """
    try:
        _copy(connection, f"task ({lines.task_columns})", lines.tasks)
        _copy(connection, f"task_content ({lines.columns})", lines.contents)
        if lines.gold:
            _copy(connection, "task_gold (task_id, project_id, value)", lines.gold)
    except UniqueViolation as error:
        if error.diag.constraint_name != "uq_task_content_project_id_external_id":
            raise
        raise IdTaken from error
    except DataError as error:
        raise RowInvalid(f"The database refuses this row: {error.diag.message_primary}.") from error
    connection.execute(
        "UPDATE project SET head_pos = %(pos)s WHERE id = %(project)s AND head_pos > %(pos)s",
        {"pos": lines.first_position - 1, "project": project_id},
    )


def is_overtaken(connection: Connection, project_id: int, id: int) -> bool:
    """Has the project got tasks with later ids already? Hold the project first.

    Who reads a project's tasks on by their ids must not miss any: they come in in this order.
    """
    row = connection.execute(
        "SELECT EXISTS (SELECT FROM task WHERE project_id = %s AND id > %s)", (project_id, id)
    ).fetchone()
    return row is not None and bool(row[0])


def reserve(connection: Connection, n: int) -> list[int]:
    """Ids of so many new tasks, ascending; nobody else gets them."""
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


def _copy(connection: Connection, into: str, lines: bytes) -> None:
    with connection.cursor() as cursor, cursor.copy(f"COPY {into} FROM STDIN") as copy:
        copy.write(lines)


def _rows(*columns: Iterable[bytes]) -> bytes:
    """Lines of COPY."""
    return b"\n".join([*map(b"\t".join, zip(*columns, strict=False)), b""])


def _jsons(values: Sequence[bytes]) -> list[bytes]:
    """Escape for COPY what orjson wrote: it has no line breaks or tabs."""
    packed = b"\n".join(values)
    return (packed.replace(b"\\", b"\\\\") if b"\\" in packed else packed).split(b"\n")


def _texts(texts: Sequence[str]) -> list[bytes]:
    """Escape for COPY: all at once where none of them needs it, as is usual."""
    packed = "\n".join(texts).encode()
    is_plain = packed.count(b"\n") == len(texts) - 1 and not any(
        mark in packed for mark in (b"\\", b"\r", b"\t")
    )
    return packed.split(b"\n") if is_plain else [_text(text.encode()) for text in texts]


def _text(value: bytes) -> bytes:
    return _SPECIAL.sub(lambda match: _ESCAPES[match[0]], value)


def _array(media_ids: tuple[int, ...]) -> bytes:
    return b"{%b}" % b",".join(b"%d" % media_id for media_id in media_ids)


def _source(source: Source | None) -> bytes:
    """The four columns of where a tile is from."""
    if source is None:
        return b"\\N\t\\N\t\\N\t\\N"
    return b"%b\t%d\t%d\t%d" % (_text(source.id.encode()), source.x, source.y, source.media_id)
