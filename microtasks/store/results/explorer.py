"""The results explorer: tasks by what their consensus is like, one task with all that was said of it.

Every read names the project: a task of another one is not found.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import orjson
from psycopg.rows import dict_row
from psycopg.types.json import Jsonb, set_json_loads

from microtasks.store.db import Connection
from microtasks.store.redundancy import MOST

ResultRow = dict[str, Any]
#: A task's answers and a big image's tiles on one page, at most.
MOST_ANSWERS, MOST_TILES = 1_000, 2_000
#: Volunteers' marks drawn on a whole big image, at most.
MOST_MARKS = 20_000
#: Disputed tasks are counted up to this many.
MOST_DISPUTED = 10_000

#: Which tasks an expert's decision stands for, and what it is: the last one, unless it was taken back.
_DECIDED = """
    SELECT d.task_id, d.choice FROM (SELECT DISTINCT ON (task_id) task_id, choice FROM expert_decision
                                     ORDER BY task_id, id DESC) AS d
    WHERE d.choice <> 'taken_back'
"""
#: What an expert decided about task `t`, `x.choice` and `x.value`; NULL where no decision stands.
_DECISION = """LEFT JOIN LATERAL (
                   SELECT nullif(e.choice, 'taken_back') AS choice, e.value FROM expert_decision e
                   WHERE e.task_id = t.id ORDER BY e.id DESC LIMIT 1) AS x ON true"""
Choice = Literal["consensus", "answer", "own", "none"]

#: Tasks that need no more answers and are not clear: a tie, or not sure after the most that may be asked.
#: What an expert decided is settled.
_DISPUTED = """
    SELECT r.id FROM task r
    WHERE r.id IN (SELECT d.task_id FROM stopping d
                   WHERE d.project_id = %(project)s AND d.outcome = 'disputed'
                   UNION SELECT c.task_id FROM consensus c WHERE c.project_id = %(project)s AND c.is_tied)
      AND r.project_id = %(project)s AND r.retirement_reason IN ('consensus', 'redundancy')
      AND NOT EXISTS (SELECT 1 FROM expert_decision x WHERE x.task_id = r.id AND x.choice <> 'taken_back'
                        AND NOT EXISTS (SELECT 1 FROM expert_decision l WHERE l.task_id = r.id
                                        AND l.id > x.id AND l.choice = 'taken_back'))
"""


class Key(NamedTuple):
    """Where in an order a task stands. agreement: 0 where the order does not go by it."""

    agreement: float
    task_id: int


@dataclass(frozen=True, slots=True)
class Filter:
    """Which tasks, and in which order. Shares are 0..1; `contains` is a part that the consensus must hold.

    sure_at_least, sure_at_most: by confidence; a consensus without one is not among them. not_seen_by: an
    account that has not looked at them yet.
    order "least": least agreement first, tasks with a consensus only; "number": every task, by its number.
    """

    at_least: float | None = None
    at_most: float | None = None
    sure_at_least: float | None = None
    sure_at_most: float | None = None
    is_tied: bool = False
    is_disputed: bool = False  # has all its answers, and waits for somebody to decide: see `_DISPUTED`
    state: Literal["", "open", "retired"] = ""
    batch_id: int | None = None
    contains: Mapping[str, Any] | None = None
    decided: Choice | Literal["", "no", "yes"] = ""  # not yet, somehow, or so
    not_seen_by: int | None = None
    order: Literal["least", "number"] = "least"


def page(
    connection: Connection,
    project_id: int,
    wanted: Filter,
    after: Key | None,
    limit: int,
    *,
    back: bool = False,
) -> list[ResultRow]:
    """Up to `limit` tasks behind `after` (before it, nearest first, with `back`), with image, consensus."""
    query, parameters = _picked(project_id, wanted, after, limit, back=back)
    way = "DESC" if back else "ASC"
    return _rows(
        connection,
        f"""WITH picked AS MATERIALIZED ({query})
            SELECT t.id AS task_id, c.external_id, c.payload, {MOST} AS redundancy, t.n_answers, t.retired_at,
                   t.retirement_reason, s.value, s.agreement, s.confidence, s.is_tied, m.width, m.height,
                   m.derivatives, c.source,
                   x.choice AS decision
            FROM picked p JOIN task t ON t.id = p.id JOIN task_content c ON c.task_id = p.id
            JOIN project o ON o.id = t.project_id
            LEFT JOIN consensus s ON s.task_id = p.id LEFT JOIN media m ON m.id = c.media_ids[1]
            {_DECISION}
            ORDER BY {"s.agreement " + way + ", " if wanted.order == "least" else ""}t.id {way}""",  # noqa: S608  (ours)
        parameters,
    )


def n_disputed(connection: Connection, project_id: int) -> int:
    """How many tasks wait for a reviewer, up to MOST_DISPUTED."""
    row = connection.execute(
        f"SELECT count(*) FROM ({_DISPUTED} LIMIT %(most)s) AS found",  # noqa: S608  (ours)
        {"project": project_id, "most": MOST_DISPUTED},
    ).fetchone()
    return int(row[0]) if row else 0


def n_decided(connection: Connection, project_id: int) -> dict[Choice, int]:
    """How many tasks experts decided, by how; what nobody decided so is missing."""
    rows = connection.execute(
        f"SELECT d.choice, count(*) FROM ({_DECIDED}) AS d JOIN task t ON t.id = d.task_id"  # noqa: S608  (ours)
        " WHERE t.project_id = %s GROUP BY d.choice",
        (project_id,),
    )
    return {choice: int(n) for choice, n in rows}


def neighbours(
    connection: Connection, project_id: int, wanted: Filter, key: Key
) -> tuple[int | None, int | None]:
    """The tasks before and behind this place in the order of the filter; None where there is none."""
    answers = []
    for back in (True, False):
        query, parameters = _picked(project_id, wanted, key, 1, back=back)
        row = connection.execute(query, parameters).fetchone()
        answers.append(int(row[0]) if row else None)
    return answers[0], answers[1]


def key_of(row: ResultRow, wanted: Filter) -> Key:
    """Where this task stands in the order; behind all where the order goes by an agreement it has not."""
    if wanted.order == "number":
        return Key(0.0, row["task_id"])
    return Key(2.0 if row["agreement"] is None else row["agreement"], row["task_id"])


def task(connection: Connection, project_id: int, task_id: int) -> ResultRow | None:
    """One task with its content, consensus and known answer; None if the project has none of that id."""
    rows = _rows(
        connection,
        f"""SELECT t.id AS task_id, c.external_id, c.batch_id, b.label AS batch, c.payload, c.hidden, c.after,
                  c.media_ids, c.source, c.source_x, c.source_y, {MOST} AS redundancy, t.n_answers,
                  t.n_leases, t.retired_at, t.retirement_reason, s.value, s.agreement, s.confidence,
                  s.is_tied, s.detail,
                  s.method, s.reducer, s.n_answers AS n_reduced, s.updated_at, g.value AS gold
           FROM task t JOIN task_content c ON c.task_id = t.id JOIN batch b ON b.id = c.batch_id
           JOIN project o ON o.id = t.project_id
           LEFT JOIN consensus s ON s.task_id = t.id LEFT JOIN task_gold g ON g.task_id = t.id
           WHERE t.id = %(task)s AND t.project_id = %(project)s""",  # noqa: S608  (ours)
        {"task": task_id, "project": project_id},
    )
    return rows[0] if rows else None


def answers(connection: Connection, task_id: int) -> list[ResultRow]:
    """What was said of a task, oldest first."""
    return _rows(
        connection,
        """SELECT id, contributor_id, kind, status, value, seconds_spent, revision, created_at
           FROM answer WHERE task_id = %(task)s ORDER BY id LIMIT %(limit)s""",
        {"task": task_id, "limit": MOST_ANSWERS},
    )


def record_view(connection: Connection, project_id: int, task_id: int, account_id: int) -> bool:
    """Remember that this account has looked at the task; False if the project has no such task."""
    row = connection.execute(
        """INSERT INTO task_look (task_id, account_id)
           SELECT id, %s FROM task WHERE id = %s AND project_id = %s
           ON CONFLICT (task_id, account_id) DO UPDATE SET looked_at = now() RETURNING 1""",
        (account_id, task_id, project_id),
    ).fetchone()
    return row is not None


def decisions(connection: Connection, task_id: int) -> list[ResultRow]:
    """What experts decided about a task, the last first. email: None for one that came with a package."""
    return _rows(
        connection,
        """SELECT e.choice, e.value, e.note, e.created_at, a.email, e.expert
           FROM expert_decision e LEFT JOIN account a ON a.id = e.account_id
           WHERE e.task_id = %(task)s ORDER BY e.id DESC LIMIT 50""",
        {"task": task_id},
    )


def add_decision(
    connection: Connection,
    task_id: int,
    account_id: int,
    choice: str,
    value: Mapping[str, Any] | None,
    note: str,
) -> None:
    """Keep a decision; earlier ones stay."""
    connection.execute(
        "INSERT INTO expert_decision (task_id, account_id, choice, value, note) VALUES (%s, %s, %s, %s, %s)",
        (task_id, account_id, choice, None if value is None else Jsonb(value), note),
    )


def ask_more(connection: Connection, project_id: int, task_id: int, n: int, most: int) -> str:
    """Let a task take n answers more, reopened if it was retired: "done", "none", "withdrawn" or "full".

    The task is locked first. A task that was not open goes to the end of the order, so that everybody's
    walk meets it again.
    """
    row = connection.execute(
        "SELECT retirement_reason, open, redundancy, n_answers + n_leases FROM task"
        " WHERE id = %s AND project_id = %s FOR NO KEY UPDATE",
        (task_id, project_id),
    ).fetchone()
    if row is None:
        return "none"
    reason, is_open, redundancy, taken = row
    if reason == "withdrawn":
        return "withdrawn"
    after = (redundancy if reason is None else taken) + n
    if after > most:
        return "full"
    connection.execute(
        """UPDATE task SET redundancy = %(after)s, own_redundancy = %(after)s, retired_at = NULL,
                  retirement_reason = NULL,
                  pos = CASE WHEN %(is_open)s THEN pos ELSE nextval('task_pos') END
           WHERE id = %(task)s""",
        {"after": after, "is_open": is_open, "task": task_id},
    )
    return "done"


def batches(connection: Connection, project_id: int) -> list[ResultRow]:
    """The project's uploads that made tasks, newest first: `id`, `label`."""
    return _rows(
        connection,
        "SELECT id, label FROM batch WHERE project_id = %(project)s AND n_tasks > 0"
        " ORDER BY id DESC LIMIT 200",
        {"project": project_id},
    )


def source(connection: Connection, project_id: int, name: str) -> ResultRow | None:
    """A big image: its media row's size and derivatives, and its merged consensus if there is one yet."""
    rows = _rows(
        connection,
        """SELECT c.source, m.width, m.height, m.derivatives, s.detail, s.reducer, s.updated_at
           FROM task_content c LEFT JOIN media m ON m.id = c.source_media_id
           LEFT JOIN source_consensus s ON s.project_id = c.project_id AND s.source = c.source
           WHERE c.project_id = %(project)s AND c.source = %(source)s ORDER BY c.task_id LIMIT 1""",
        {"project": project_id, "source": name},
    )
    return rows[0] if rows else None


def tiles(connection: Connection, project_id: int, name: str) -> list[ResultRow]:
    """The tiles of a big image: where they lie, how far they are."""
    return _rows(
        connection,
        f"""SELECT c.task_id, c.external_id, c.source_x AS x, c.source_y AS y, m.width, m.height,
                  t.n_answers, {MOST} AS redundancy, t.retired_at, s.agreement
           FROM task_content c JOIN task t ON t.id = c.task_id JOIN media m ON m.id = c.media_ids[1]
           JOIN project o ON o.id = t.project_id
           LEFT JOIN consensus s ON s.task_id = c.task_id
           WHERE c.project_id = %(project)s AND c.source = %(source)s ORDER BY c.task_id LIMIT %(limit)s""",  # noqa: S608  (ours)
        {"project": project_id, "source": name, "limit": MOST_TILES},
    )


def decided_tiles(connection: Connection, project_id: int, name: str) -> list[ResultRow]:
    """What experts decided about the tiles of a big image where it is not the consensus.

    Each row: choice, value, the tile's x and y in the big image.
    """
    return _rows(
        connection,
        f"""SELECT x.choice, x.value, c.source_x AS x, c.source_y AS y
            FROM task_content c JOIN task t ON t.id = c.task_id {_DECISION}
            WHERE c.project_id = %(project)s AND c.source = %(source)s AND x.choice IN ('answer', 'own')
            ORDER BY c.task_id LIMIT %(limit)s""",  # noqa: S608  (ours)
        {"project": project_id, "source": name, "limit": MOST_TILES},
    )


def tile_marks(connection: Connection, project_id: int, name: str, key: str) -> tuple[list[ResultRow], bool]:
    """What each volunteer marked in each tile of a big image, and whether that is all: at most MOST_MARKS.

    Each row: contributor_id, the tile's x and y in the big image, marks in the tile's pixels. First come,
    first drawn. key: where the marks stand in an answer's value.
    """
    rows = _rows(
        connection,
        """SELECT contributor_id, x, y, marks, n_all FROM (
               SELECT a.id, a.contributor_id, c.source_x AS x, c.source_y AS y, a.value -> %(key)s AS marks,
                      sum(jsonb_array_length(a.value -> %(key)s)) OVER (ORDER BY a.id) AS n,
                      sum(jsonb_array_length(a.value -> %(key)s)) OVER () AS n_all
               FROM task_content c JOIN answer a ON a.task_id = c.task_id
               WHERE c.project_id = %(project)s AND c.source = %(source)s AND a.status <> 'check'
                 AND jsonb_typeof(a.value -> %(key)s) = 'array') AS said
           WHERE n <= %(limit)s ORDER BY id""",
        {"project": project_id, "source": name, "key": key, "limit": MOST_MARKS},
    )
    return rows, not rows or rows[0]["n_all"] <= MOST_MARKS


def _picked(
    project_id: int, wanted: Filter, key: Key | None, limit: int, *, back: bool
) -> tuple[str, dict[str, Any]]:
    """The ids of the tasks wanted, in order: a query with the column id, and its parameters."""
    is_least = wanted.order == "least"
    reads_consensus = is_least or wanted.is_tied or wanted.contains is not None
    shares = (wanted.at_least, wanted.at_most, wanted.sure_at_least, wanted.sure_at_most)
    reads_consensus = reads_consensus or any(share is not None for share in shares)
    # Consensus alone where it is enough: a join of all tasks costs several times as much.
    task = "s.task_id" if reads_consensus else "t.id"
    tests = [f"{'s' if reads_consensus else 't'}.project_id = %(project)s"]
    if key is not None:
        sign = "<" if back else ">"
        tests.append(
            f"(s.agreement, s.task_id) {sign} (%(agreement)s, %(key)s)"
            if is_least
            else f"{task} {sign} %(key)s"
        )
    if wanted.at_least is not None:
        tests.append("s.agreement >= %(at_least)s")
    if wanted.at_most is not None:
        tests.append("s.agreement <= %(at_most)s")
    if wanted.sure_at_least is not None:
        tests.append("s.confidence >= %(sure_at_least)s")
    if wanted.sure_at_most is not None:
        tests.append("s.confidence <= %(sure_at_most)s")
    if wanted.is_tied:
        tests.append("s.is_tied")
    if wanted.is_disputed:
        tests.append(f"{task} IN ({_DISPUTED})")
    if wanted.state:
        tests.append(f"t.retired_at IS {'NULL' if wanted.state == 'open' else 'NOT NULL'}")
    if wanted.batch_id is not None:
        tests.append(f"{task} IN (SELECT b.task_id FROM task_content b WHERE b.batch_id = %(batch)s)")  # noqa: S608  (ours)
    if wanted.contains is not None:
        tests.append("s.value @> %(contains)s")
    if wanted.decided:
        so = "" if wanted.decided in ("no", "yes") else "AND d.choice = %(decided)s"
        decided = f"{task} IN (SELECT task_id FROM ({_DECIDED} {so}) AS decided)"  # noqa: S608  (ours)
        tests.append(f"NOT {decided}" if wanted.decided == "no" else decided)
    if wanted.not_seen_by is not None:
        looked = f"SELECT 1 FROM task_look l WHERE l.task_id = {task} AND l.account_id = %(seen_by)s"  # noqa: S608  (ours)
        tests.append(f"NOT EXISTS ({looked})")
    tables = "consensus s" if reads_consensus else "task t"
    if reads_consensus and wanted.state:
        tables += " JOIN task t ON t.id = s.task_id"
    way = "DESC" if back else "ASC"
    order = f"s.agreement {way}, s.task_id {way}" if is_least else f"{task} {way}"
    query = (
        f"SELECT {task} AS id FROM {tables}"  # noqa: S608  (ours)
        f" WHERE {' AND '.join(tests)} ORDER BY {order} LIMIT %(limit)s"
    )
    return query, {
        "project": project_id,
        "agreement": key.agreement if key else None,
        "key": key.task_id if key else None,
        "at_least": wanted.at_least,
        "at_most": wanted.at_most,
        "sure_at_least": wanted.sure_at_least,
        "sure_at_most": wanted.sure_at_most,
        "decided": wanted.decided,
        "seen_by": wanted.not_seen_by,
        "batch": wanted.batch_id,
        "contains": None if wanted.contains is None else Jsonb(wanted.contains),
        "limit": limit,
    }


def _rows(connection: Connection, query: str, parameters: dict[str, Any]) -> list[ResultRow]:
    with connection.cursor(row_factory=dict_row) as cursor:
        set_json_loads(orjson.loads, cursor)
        return cursor.execute(query, parameters).fetchall()
