"""All counted answers of a project as columns: some bytes of fixed width an answer, a chunk of tasks a query.

One value comes as its hash; what is meant by it is asked for once. So ten million answers cost the client no
work for each. Reads are by key, each chunk in a short transaction of its own.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple
from uuid import UUID

from microtasks.store.db import Connection, Database

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

#: At most so many tasks, and about so many answers, are read by one query.
CHUNK, CHUNK_ANSWERS = 5_000, 100_000

#: One answer: see `_READ`. Big-endian, as PostgreSQL sends.
_ROW = [
    ("task", ">i8"),
    ("contributor", "S16"),
    ("revision", ">i2"),
    ("said", "S16"),
    ("seconds", ">f8"),
]

_READ = """
    SELECT string_agg(
        int8send(a.task_id) || uuid_send(a.contributor_id) || int2send(a.revision)
        || uuid_send(md5(a.kind || coalesce(a.value::text, ''))::uuid)
        || float8send(coalesce(least(a.seconds_spent, a.server_seconds), 'NaN')),
        NULL ORDER BY a.task_id, a.contributor_id)
    FROM answer a WHERE a.task_id = ANY(%s) AND a.status = 'counted'
"""


class Spoken(NamedTuple):
    """One thing that was said, by any number of people."""

    kind: str
    value: dict[str, Any] | None


@dataclass(frozen=True, slots=True)
class Read:
    """Counted answers, sorted by task and contributor (as bytes, which is the order of their names).

    task_ids: all tasks with a counted answer. versions: grows with every answer and every revision of a task.
    task, person, said: numbers, one row an answer. seconds: NaN where not known. people: hexadecimal ids.
    """

    task_ids: NDArray[np.int64]
    versions: NDArray[np.int64]
    task: NDArray[np.int32]
    person: NDArray[np.int32]
    said: NDArray[np.int32]
    seconds: NDArray[np.float32]
    spoken: list[Spoken]
    people: list[str]


def read(db: Database, project_id: int, chunk: int = CHUNK) -> Read:
    """Read a whole project: 16 bytes an answer stay in memory."""
    import numpy as np

    numbers: dict[bytes, int] = {}
    value_numbers: dict[bytes, int] = {}
    spoken: list[Spoken] = []
    ids: list[NDArray[np.int64]] = []
    versions: list[NDArray[np.int64]] = []
    columns: list[tuple[Any, Any, Any, Any]] = []
    n_tasks = 0
    for connection, rows in _chunks(db, project_id, chunk):
        task_ids, task = np.unique(rows["task"], return_inverse=True)
        people, person = _number(rows["contributor"], numbers)
        value_column = _said(connection, rows, value_numbers, spoken)
        ids.append(task_ids.astype(np.int64))
        versions.append(np.bincount(task, weights=rows["revision"]).astype(np.int64))
        columns.append(
            (
                (task + n_tasks).astype(np.int32),
                people[person],
                value_column,
                rows["seconds"].astype(np.float32),
            )
        )
        n_tasks += len(task_ids)
    names = sorted(numbers)
    rank = np.empty(len(names), np.int32)
    for place, name in enumerate(names):
        rank[numbers[name]] = place

    def whole(k: int, kind: Any) -> Any:
        return np.concatenate([part[k] for part in columns]) if columns else np.zeros(0, kind)

    return Read(
        np.concatenate(ids) if ids else np.zeros(0, np.int64),
        np.concatenate(versions) if versions else np.zeros(0, np.int64),
        whole(0, np.int32),
        rank[whole(1, np.int32)],
        whole(2, np.int32),
        whole(3, np.float32),
        spoken,
        [name.ljust(16, b"\0").hex() for name in names],
    )


def _chunks(db: Database, project_id: int, chunk: int) -> Iterator[tuple[Connection, Any]]:
    """Rows of answers as arrays, some tasks at a time, and the transaction in which they were read."""
    import numpy as np

    after = 0
    while True:
        with db.connection() as connection:
            # What is asked for afterwards must be what was read.
            connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
            rows = connection.execute(
                "SELECT id, n_answers FROM task WHERE project_id = %s AND id > %s AND n_answers > 0"
                " ORDER BY id LIMIT %s",
                (project_id, after, chunk),
            ).fetchall()
            ids, n_answers = [], 0
            for task_id, n in rows:
                ids.append(task_id)
                n_answers += n
                if n_answers >= CHUNK_ANSWERS:
                    break
            row = connection.execute(_READ, (ids,), binary=True).fetchone() if ids else None
            if row and row[0]:
                yield connection, np.frombuffer(row[0], np.dtype(_ROW))
        if len(rows) < chunk and len(ids) == len(rows):
            return
        after = ids[-1]


def _number(names: Any, numbers: dict[bytes, int]) -> tuple[Any, Any]:
    """Give each name a number; return the numbers of the different ones, and which of these each row is."""
    import numpy as np

    unique, place = np.unique(names, return_inverse=True)
    return np.array([numbers.setdefault(name, len(numbers)) for name in unique.tolist()], np.int32), place


def _said(connection: Connection, rows: Any, value_numbers: dict[bytes, int], spoken: list[Spoken]) -> Any:
    """Number what was said, and fetch what was not met before."""
    import numpy as np

    unique, first, place = np.unique(rows["said"], return_index=True, return_inverse=True)
    hashes = unique.tolist()
    new = [k for k, one in enumerate(hashes) if one not in value_numbers]
    if new:
        at = first[new]
        people = [UUID(bytes=name.ljust(16, b"\0")) for name in rows["contributor"][at].tolist()]
        new_values = connection.execute(
            "SELECT a.kind, a.value"
            " FROM unnest(%s::bigint[], %s::uuid[]) WITH ORDINALITY AS u (task, who, nth)"
            " JOIN answer a ON a.task_id = u.task AND a.contributor_id = u.who ORDER BY u.nth",
            (rows["task"][at].tolist(), people),
        )
        for k, one in zip(new, new_values, strict=True):
            value_numbers[hashes[k]] = len(spoken)
            spoken.append(Spoken(*one))
    return np.array([value_numbers[one] for one in hashes], np.int32)[place].astype(np.int32)
