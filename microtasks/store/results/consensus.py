"""What the answers add up to, stored: one row a task, one a tiled big image; and the answers it rests on.

Reads are by key, a chunk each in its own short transaction: memory holds one chunk, and a long read slows
nobody down. Writes leave alone what has had a new answer since it was read.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import orjson
from psycopg.types.json import Jsonb

from microtasks.core.values import Consensus
from microtasks.store.db import Connection, Database

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

CHUNK = 1_000
#: Values of consensus read at once.
_VALUES = 10_000

#: contributor (hexadecimal), kind, value
Said = tuple[str, str, dict[str, Any] | None]

_PUT = """
    INSERT INTO consensus (task_id, project_id, value, agreement, confidence, n_answers, is_tied, detail,
                           method, reducer, parameters)
    {rows}
    ON CONFLICT (task_id) DO UPDATE SET
        value = EXCLUDED.value, agreement = EXCLUDED.agreement, confidence = EXCLUDED.confidence,
        n_answers = EXCLUDED.n_answers, is_tied = EXCLUDED.is_tied, detail = EXCLUDED.detail,
        method = EXCLUDED.method, reducer = EXCLUDED.reducer, parameters = EXCLUDED.parameters,
        updated_at = now()
"""
_PUT_ONE = _PUT.format(rows="VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)")
#: Consensus to store, as text: filled by COPY, empty again when the transaction ends.
_NEW = """
    CREATE TEMP TABLE IF NOT EXISTS consensus_new (
        task_id bigint, version bigint, value jsonb, agreement float8, confidence float8, n_answers int,
        is_tied bool, detail jsonb, reducer text, parameters jsonb) ON COMMIT DELETE ROWS
"""
_COPY_NEW = "COPY pg_temp.consensus_new FROM STDIN"
_NO_SCANS = ["enable_seqscan", "enable_hashjoin", "enable_mergejoin"]
#: Of what was answered since it was read, another reduction is under way or due.
_DROP_OLD = """
    DELETE FROM pg_temp.consensus_new u
    WHERE u.version <> (SELECT coalesce(sum(a.revision), 0) FROM answer a
                        WHERE a.task_id = u.task_id AND a.status = 'counted')
"""
#: What is stored already is left as it is: a pass over a project that has not changed writes nothing.
_PUT_MANY = _PUT.format(
    rows="""SELECT u.task_id, %(project)s, u.value, u.agreement, u.confidence, u.n_answers, u.is_tied,
                   u.detail, %(method)s, u.reducer, u.parameters
            FROM pg_temp.consensus_new u LEFT JOIN consensus c ON c.task_id = u.task_id
            WHERE c.task_id IS NULL
               OR (c.value, c.agreement, c.confidence, c.n_answers, c.is_tied, c.detail, c.method, c.reducer,
                   c.parameters)
                  IS DISTINCT FROM (u.value, u.agreement, u.confidence, u.n_answers, u.is_tied, u.detail,
                                    %(method)s, u.reducer, u.parameters)
            ORDER BY u.task_id"""
)


def put(connection: Connection, task_id: int, project_id: int, consensus: Consensus, method: str) -> None:
    """Store a task's consensus in place of an earlier one, in the caller's transaction: one statement."""
    connection.execute(
        _PUT_ONE,
        (
            task_id,
            project_id,
            None if consensus.value is None else Jsonb(consensus.value),
            consensus.agreement,
            consensus.confidence,
            consensus.n_answers,
            consensus.is_tied,
            Jsonb(consensus.detail),
            method,
            consensus.reducer,
            Jsonb(consensus.parameters),
        ),
    )


class Answered(NamedTuple):
    """One task's counted answers. version: grows with every answer and every revision."""

    task_id: int
    said: list[Said]
    version: int


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
    connection.execute(_PUT_MANY, {"project": project_id, "method": method})
    return len(reduced) - n_left


def answered(db: Database, project_id: int, chunk: int = CHUNK) -> Iterator[Answered]:
    """Every task of the project that has a counted answer, by id, with them."""
    after = 0
    while True:
        with db.connection() as connection:
            rows = connection.execute(
                "SELECT id FROM task WHERE project_id = %s AND id > %s AND n_answers > 0"
                " ORDER BY id LIMIT %s",
                (project_id, after, chunk),
            ).fetchall()
            ids = [int(row[0]) for row in rows]
            found = _counted(connection, ids)
        yield from found
        if len(ids) < chunk:
            return
        after = ids[-1]


def sample(connection: Connection, project_id: int, n: int) -> list[int]:
    """Up to n tasks that have all their answers, two at least: spread evenly over the project."""
    return [
        int(row[0])
        for row in connection.execute(
            """WITH done AS (SELECT id, row_number() OVER (ORDER BY id) - 1 AS nth, count(*) OVER () AS n
                             FROM task WHERE project_id = %(project)s AND n_answers >= 2
                               AND retirement_reason IN ('consensus', 'redundancy'))
               SELECT id FROM done WHERE nth * %(wanted)s / n <> (nth - 1) * %(wanted)s / n OR nth = 0
               ORDER BY id LIMIT %(wanted)s""",
            {"project": project_id, "wanted": n},
        )
    ]


def in_order(connection: Connection, task_ids: Sequence[int]) -> dict[int, list[Said]]:
    """Counted answers of these tasks that weigh, each task's in the order in which they came."""
    found: dict[int, list[Said]] = {}
    for task_id, contributor, kind, value in connection.execute(
        "SELECT a.task_id, a.contributor_id, a.kind, a.value FROM answer a"
        " LEFT JOIN contributor_record r"
        " ON r.project_id = a.project_id AND r.contributor_id = a.contributor_id"
        " WHERE a.task_id = ANY(%s) AND a.status = 'counted' AND r.is_excluded IS NOT TRUE"
        " ORDER BY a.task_id, a.id",
        (list(task_ids),),
    ):
        found.setdefault(task_id, []).append((contributor.hex, kind, value))
    return found


def of_task(connection: Connection, task_id: int) -> Answered:
    """One task's counted answers."""
    found = _counted(connection, [task_id])
    return found[0] if found else Answered(task_id, [], 0)


def _counted(connection: Connection, ids: Sequence[int]) -> list[Answered]:
    """Counted answers of these tasks, by task; tasks without any are left out.

    Those of contributors who were left out count for the version, but are not among what was said.
    """
    found: dict[int, Answered] = {}
    if ids:
        for task_id, contributor, kind, value, revision, is_excluded in connection.execute(
            "SELECT a.task_id, a.contributor_id, a.kind, a.value, a.revision, r.is_excluded FROM answer a"
            " LEFT JOIN contributor_record r"
            " ON r.project_id = a.project_id AND r.contributor_id = a.contributor_id"
            " WHERE a.task_id = ANY(%s) AND a.status = 'counted' ORDER BY a.task_id, a.contributor_id",
            (list(ids),),
        ):
            task = found.setdefault(task_id, Answered(task_id, [], 0))
            if not is_excluded:
                task.said.append((contributor.hex, kind, value))
            found[task_id] = task._replace(version=task.version + revision)
    return [found[task_id] for task_id in sorted(found)]


class Timed(NamedTuple):
    """One counted answer with its time. task_value: the task's consensus, None where there is none.

    is_excluded: of a contributor who was left out.
    """

    task_id: int
    contributor: str
    kind: str
    value: dict[str, Any] | None
    seconds: float | None
    task_value: dict[str, Any] | None
    is_excluded: bool


def timed(db: Database, project_id: int, chunk: int = CHUNK) -> Iterator[Timed]:
    """Every counted answer of a project, by task and contributor, beside the task's consensus."""
    after = 0
    while True:
        with db.connection() as connection:
            ids = [
                int(row[0])
                for row in connection.execute(
                    "SELECT id FROM task WHERE project_id = %s AND id > %s AND n_answers > 0"
                    " ORDER BY id LIMIT %s",
                    (project_id, after, chunk),
                )
            ]
            rows = connection.execute(
                "SELECT a.task_id, a.contributor_id, a.kind, a.value, a.seconds_spent, s.value,"
                " coalesce(r.is_excluded, false) FROM answer a"
                " LEFT JOIN consensus s ON s.task_id = a.task_id"
                " LEFT JOIN contributor_record r"
                " ON r.project_id = a.project_id AND r.contributor_id = a.contributor_id"
                " WHERE a.task_id = ANY(%s) AND a.status = 'counted' ORDER BY a.task_id, a.contributor_id",
                (ids,),
            ).fetchall()
        for task_id, contributor, kind, value, seconds, task_value, is_excluded in rows:
            yield Timed(task_id, contributor.hex, kind, value, seconds, task_value, is_excluded)
        if len(ids) < chunk:
            return
        after = ids[-1]


def values(db: Database, task_ids: NDArray[np.int64]) -> tuple[NDArray[np.int32], list[dict[str, Any]]]:
    """The consensus of these tasks: for each the number of its value (-1: none), and the different values."""
    import numpy as np

    known: dict[str, int] = {}
    found = np.full(len(task_ids), -1, np.int32)
    for start in range(0, len(task_ids), _VALUES):
        ids = task_ids[start : start + _VALUES]
        with db.connection() as connection:
            rows = connection.execute(
                "SELECT task_id, value::text FROM consensus"
                " WHERE task_id = ANY(%s) AND value IS NOT NULL ORDER BY task_id",
                (ids.tolist(),),
            ).fetchall()
        at = np.searchsorted(ids, np.array([row[0] for row in rows], np.int64))
        found[start + at] = [known.setdefault(row[1], len(known)) for row in rows]
    return found, [orjson.loads(text) for text in known]


def marked(db: Database, project_id: int) -> list[tuple[int, int]]:
    """For each object that marks add up to, accepted or possible: who saw it and did not mark it, who did."""
    with db.connection() as connection:
        return connection.execute(
            """SELECT (m->>'n_saw')::int - (m->>'n_marked')::int, (m->>'n_marked')::int
               FROM task t JOIN consensus c ON c.task_id = t.id, jsonb_array_elements(
                   coalesce(c.detail->'marks', '[]') || coalesce(c.detail->'possible', '[]')) AS m
               WHERE t.project_id = %s ORDER BY 1, 2 LIMIT %s""",
            (project_id, _VALUES * 20),
        ).fetchall()


def checks(db: Database, project_id: int) -> list[tuple[str, dict[str, Any], dict[str, Any]]]:
    """Every answer to a known task, also those that were checks only: contributor, value, right value."""
    with db.connection() as connection:
        return [
            (contributor.hex, value, gold)
            for contributor, value, gold in connection.execute(
                "SELECT a.contributor_id, a.value, g.value FROM task_gold g"
                " JOIN answer a ON a.task_id = g.task_id WHERE g.project_id = %s"
                " AND a.status IN ('counted', 'check') AND a.value IS NOT NULL"
                " ORDER BY a.task_id, a.contributor_id",
                (project_id,),
            )
        ]


def forget_unanswered(connection: Connection, project_id: int) -> int:
    """Remove the consensus of tasks that have no counted answer (any more); return how many."""
    return connection.execute(
        "DELETE FROM consensus c USING task t"
        " WHERE c.project_id = %s AND t.id = c.task_id AND t.n_answers = 0",
        (project_id,),
    ).rowcount


class Facts(NamedTuple):
    """What reducing needs to know of a task's project."""

    project_id: int
    task_type: str
    config: dict[str, Any]
    method: str
    source: str | None = None
    stop_rule: str = "redundancy"
    stop_threshold: float = 0.95
    redundancy: int = 5
    answers_min: int = 5


def facts_of_task(connection: Connection, task_id: int) -> Facts | None:
    """The project of a task, and the big image it is a tile of; None when there is no such task."""
    row = connection.execute(
        "SELECT p.id, p.task_type, p.config, p.method, c.source FROM task t"
        " JOIN project p ON p.id = t.project_id JOIN task_content c ON c.task_id = t.id WHERE t.id = %s",
        (task_id,),
    ).fetchone()
    return Facts(*row) if row else None


def facts_of_project(connection: Connection, project_id: int) -> Facts | None:
    """The project; None when there is none."""
    row = connection.execute(
        "SELECT id, task_type, config, method, NULL, stop_rule, stop_threshold, redundancy, answers_min"
        " FROM project WHERE id = %s",
        (project_id,),
    ).fetchone()
    return Facts(*row) if row else None


def behind(connection: Connection) -> list[int]:
    """Projects whose model has not seen their last answers, and should: nobody has answered for a minute, or
    the last pass is ten minutes old. A few index look-ups for each project that has a model.

    Where tasks stop when sure, whether they are hangs on the model: then a pass is due after a minute, or
    after ten times as long as the last one took.
    """
    return [
        int(row[0])
        for row in connection.execute(
            """SELECT p.id FROM project p
               CROSS JOIN LATERAL (SELECT a.created_at FROM answer a WHERE a.project_id = p.id
                                   ORDER BY a.id DESC LIMIT 1) AS newest
               CROSS JOIN LATERAL (SELECT max(j.created_at) AS at, max(j.finished_at - j.created_at) AS took
                                   FROM job j WHERE j.name = 'aggregate' AND j.target_id = p.id) AS pass
               WHERE (p.method <> 'majority' OR p.stop_rule = 'confidence')
                 AND (pass.at IS NULL OR newest.created_at > pass.at)
                 AND (pass.at IS NULL OR pass.at < now() - interval '10 minutes'
                      OR newest.created_at < now() - interval '1 minute'
                      OR p.stop_rule = 'confidence'
                         AND pass.at < now() - greatest(interval '1 minute', 10 * pass.took))
               ORDER BY p.id"""
        )
    ]


def gold(connection: Connection, project_id: int) -> dict[int, dict[str, Any]]:
    """The known right values by task."""
    return dict(
        connection.execute(
            "SELECT task_id, value FROM task_gold WHERE project_id = %s", (project_id,)
        ).fetchall()
    )


def lock(connection: Connection, task_or_project_id: int, source: str = "") -> None:
    """Let only one at a time reduce this task (or this source of a project), until the transaction ends."""
    connection.execute(
        "SELECT pg_advisory_xact_lock(hashtextextended('consensus' || %s::text || ' ' || %s, 0))",
        (task_or_project_id, source),
    )


class TileRow(NamedTuple):
    """One tile of a big image, in the big image's pixels; source sizes are None where they are not known."""

    task_id: int
    x: int
    y: int
    width: int
    height: int
    source_width: int | None
    source_height: int | None


def sources(db: Database, project_id: int, chunk: int = CHUNK) -> Iterator[str]:
    """The big images of a project, by name."""
    after = ""
    while True:
        with db.connection() as connection:
            names = [
                row[0]
                for row in connection.execute(
                    "SELECT DISTINCT source FROM task_content WHERE project_id = %s AND source > %s"
                    " ORDER BY source LIMIT %s",
                    (project_id, after, chunk),
                )
            ]
        yield from names
        if len(names) < chunk:
            return
        after = names[-1]


def tiles(connection: Connection, project_id: int, source: str) -> list[TileRow]:
    """The tiles of one big image, by task."""
    return [
        TileRow(*row)
        for row in connection.execute(
            "SELECT c.task_id, c.source_x, c.source_y, m.width, m.height, s.width, s.height"
            " FROM task_content c JOIN media m ON m.id = c.media_ids[1]"
            " LEFT JOIN media s ON s.id = c.source_media_id"
            " WHERE c.project_id = %s AND c.source = %s"
            " AND c.source_x IS NOT NULL AND c.source_y IS NOT NULL ORDER BY c.task_id",
            (project_id, source),
        )
    ]


def of_tasks(connection: Connection, task_ids: Sequence[int]) -> dict[int, list[Said]]:
    """Counted answers of these tasks; tasks without any are left out."""
    return {found.task_id: found.said for found in _counted(connection, task_ids)}


def put_source(connection: Connection, project_id: int, source: str, consensus: Consensus) -> None:
    """Store the merged consensus of a big image in place of an earlier one."""
    connection.execute(
        """INSERT INTO source_consensus (project_id, source, detail, reducer, parameters)
           VALUES (%s, %s, %s, %s, %s)
           ON CONFLICT (project_id, source) DO UPDATE SET detail = EXCLUDED.detail,
               reducer = EXCLUDED.reducer, parameters = EXCLUDED.parameters, updated_at = now()""",
        (project_id, source, Jsonb(consensus.detail), consensus.reducer, Jsonb(consensus.parameters)),
    )


_NULL = b"\\N"


def _cell(value: Any) -> bytes:
    """JSON as a cell of COPY: of its special characters JSON has the backslash alone."""
    return orjson.dumps(value).replace(b"\\", b"\\\\")
