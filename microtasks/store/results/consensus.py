"""What the answers to each task add up to, stored: one row a task.

Writes leave alone what has had a new answer since it was read.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, NamedTuple

import orjson

from microtasks.core.values import Consensus
from microtasks.store.db import Connection, Database

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

#: Values of consensus read at once.
_VALUES = 10_000


#: Consensus to store, as text: filled by COPY, empty again when the transaction ends.
_NEW = """
    CREATE TEMP TABLE IF NOT EXISTS consensus_new (
        task_id bigint, version bigint, value jsonb, agreement float8, confidence float8, n_answers int,
        is_tied bool, detail jsonb, reducer text, parameters jsonb) ON COMMIT DELETE ROWS
"""
_COPY_NEW = "COPY pg_temp.consensus_new FROM STDIN"
_NO_SCANS = ["enable_seqscan", "enable_hashjoin", "enable_mergejoin"]
#: Of what was answered since it was read, another reduction is under way or due.
_DROP_OLD = "DELETE FROM pg_temp.consensus_new u WHERE u.version <> answers_version(u.task_id)"
_PUT_NEW = """
    SELECT consensus_put(%(project)s, %(method)s, array_agg(ROW(
        task_id, value, agreement, confidence, n_answers, is_tied, detail, reducer, parameters)
        ::consensus_row))
    FROM pg_temp.consensus_new
"""


def put(connection: Connection, task_id: int, project_id: int, consensus: Consensus, method: str) -> None:
    """Store a task's consensus in place of an earlier one, in the caller's transaction: one statement."""
    connection.execute(
        "SELECT consensus_put(%s, %s, ARRAY[jsonb_populate_record(NULL::consensus_row, %s::jsonb)])",
        (project_id, method, orjson.dumps({"task_id": task_id, **asdict(consensus)}).decode()),
    )


class Reduced(NamedTuple):
    """A consensus to store, and the version of the answers it was made from."""

    task_id: int
    consensus: Consensus
    version: int


def put_many(connection: Connection, project_id: int, reduced: Sequence[Reduced], method: str) -> int:
    """Store these in one statement; return how many stand. A task that was answered since is left alone.

    The rows of the tasks are locked first, in order: who submits an answer holds the same lock. Then all goes
    over by COPY, and from there in place of what was there.
    """
    if not reduced:
        return 0
    ids = sorted(item.task_id for item in reduced)
    connection.execute(_NEW)
    connection.execute("SELECT 1 FROM task WHERE id = ANY(%s) ORDER BY id FOR NO KEY UPDATE", (ids,))
    parameters: dict[int, bytes] = {}
    lines = []
    for task_id, each, version in reduced:
        same = parameters.get(id(each.parameters))  # one object for all, mostly
        if same is None:
            same = parameters[id(each.parameters)] = _cell(each.parameters)
        lines.append(
            b"%d\t%d\t%b\t%b\t%b\t%d\t%b\t%b\t%b\t%b\n"
            % (
                task_id,
                version,
                _NULL if each.value is None else _cell(each.value),
                repr(float(each.agreement)).encode(),
                _NULL if each.confidence is None else repr(float(each.confidence)).encode(),
                each.n_answers,
                b"t" if each.is_tied else b"f",
                _cell(each.detail),
                each.reducer.encode(),
                same,
            )
        )
    with connection.cursor() as cursor, cursor.copy(_COPY_NEW) as copy:
        copy.write(b"".join(lines))
    # The rows of these tasks by their keys: without statistics a plan may read a whole table each time.
    connection.execute("SELECT set_config(x, 'off', true) FROM unnest(%s::text[]) AS x", (_NO_SCANS,))
    n_left = connection.execute(_DROP_OLD).rowcount
    connection.execute(_PUT_NEW, {"project": project_id, "method": method})
    return len(reduced) - n_left


def decided_by_vote(connection: Connection, project_id: int) -> list[str]:
    """What the vote decides in a project whose volunteers shall weigh by their record; by one stored row."""
    row = connection.execute(
        """SELECT c.detail->'decided_by' FROM consensus c JOIN project p ON p.id = c.project_id
           WHERE c.project_id = %s AND p.method <> 'majority' AND c.detail ? 'decided_by' LIMIT 1""",
        (project_id,),
    ).fetchone()
    return [name for name, word in row[0].items() if word == "vote"] if row else []


def values(db: Database, task_ids: NDArray[np.int64]) -> tuple[NDArray[np.int32], list[dict[str, Any]]]:
    """The consensus of these tasks: for each the number of its value (-1: none), and the different values."""
    import numpy as np

    value_numbers: dict[str, int] = {}
    numbers = np.full(len(task_ids), -1, np.int32)
    for start in range(0, len(task_ids), _VALUES):
        ids = task_ids[start : start + _VALUES]
        with db.connection() as connection:
            rows = connection.execute(
                "SELECT task_id, value::text FROM consensus"
                " WHERE task_id = ANY(%s) AND value IS NOT NULL ORDER BY task_id",
                (ids.tolist(),),
            ).fetchall()
        at = np.searchsorted(ids, np.array([row[0] for row in rows], np.int64))
        numbers[start + at] = [value_numbers.setdefault(row[1], len(value_numbers)) for row in rows]
    return numbers, [orjson.loads(text) for text in value_numbers]


def mark_counts(db: Database, project_id: int, lists: Sequence[str]) -> list[tuple[int, int]]:
    """For each object that answers add up to: how many saw it and did not mark it, how many did.

    lists: where they stand in a consensus' detail (`TaskType.object_lists`).
    """
    with db.connection() as connection:
        return connection.execute(
            """SELECT (m->>'n_saw')::int - (m->>'n_marked')::int, (m->>'n_marked')::int
               FROM task t JOIN consensus c ON c.task_id = t.id, unnest(%s::text[]) AS list,
                   jsonb_array_elements(coalesce(c.detail -> list, '[]')) AS m
               WHERE t.project_id = %s ORDER BY 1, 2 LIMIT %s""",
            (list(lists), project_id, _VALUES * 20),
        ).fetchall()


def forget_unanswered(connection: Connection, project_id: int) -> int:
    """Remove the consensus of tasks that have no counted answer (any more); return how many."""
    return connection.execute(
        "DELETE FROM consensus c USING task t"
        " WHERE c.project_id = %s AND t.id = c.task_id AND t.n_answers = 0",
        (project_id,),
    ).rowcount


_NULL = b"\\N"


def _cell(value: Any) -> bytes:
    """JSON as a cell of COPY: of its special characters JSON has the backslash alone."""
    return orjson.dumps(value).replace(b"\\", b"\\\\")
